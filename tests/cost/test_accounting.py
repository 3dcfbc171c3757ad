from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.cost.accounting import bits_per_weight
from mpsearch.cost.size import size


def space(*layers, scheme):
    return SearchSpace(name="s", layers=layers, groups=tuple(
        Group(name=layer.name, layers=(layer.name,), schemes=(scheme,)) for layer in layers))


def test_scales_and_padding_count():
    layer = LayerSpec(name="a", kind="linear", weight="a.weight", weight_shape=(2, 5))
    one = space(layer, scheme=Scheme(weight=IntFormat(bits=3)))
    assert bits_per_weight(one, size(one).total([0])) == (2 * 16 + 2 * 16 + 8) / 10


def test_a_space_without_weights_has_none():
    assert bits_per_weight(space(LayerSpec(name="qk", kind="matmul"), scheme=Scheme()), 0) == 0


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5))
def test_float_is_its_own_width_whatever_the_shapes(shapes):
    layers = [LayerSpec(name=str(i), kind="linear", weight=f"{i}.weight", weight_shape=shape)
              for i, shape in enumerate(shapes)]
    whole = space(*layers, scheme=Scheme())
    assert bits_per_weight(whole, size(whole).total([0] * len(layers))) == 32
