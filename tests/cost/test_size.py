import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.cost.size import size

FLOAT = Scheme()


def weight(bits, **fields):
    return Scheme(weight=IntFormat(bits=bits, **fields))


def linear(name, shape, **fields):
    return LayerSpec(name=name, kind="linear", weight=f"{name}.weight", weight_shape=shape,
                     **fields)


def table(schemes, *layers):
    """Size of one group that holds all layers."""
    group = Group(name="g", layers=tuple(layer.name for layer in layers), schemes=tuple(schemes))
    return size(SearchSpace(name="s", layers=layers, groups=(group,))).values[0]


def test_metric_unit_and_groups():
    layers = (linear("a", (1, 8)), linear("b", (2, 8)))
    groups = tuple(Group(name=layer.name, layers=(layer.name,), schemes=(FLOAT,))
                   for layer in layers)
    found = size(SearchSpace(name="s", layers=layers, groups=groups))
    assert (found.metric, found.unit, found.groups) == ("size", "bits", ("a", "b"))
    assert found.values == ((256.0,), (512.0,))


@pytest.mark.parametrize(("scheme", "bits"), [
    # rows of 5 codes pad to bytes: 3 * 5 = 15 -> 16; 16-bit scale a row; one 8-bit exponent
    (weight(3), 2 * 16 + 2 * 16 + 8),
    # groups of 4 leave a ragged one of 1: two scales a row
    (weight(3, granularity="group:4"), 2 * 16 + 4 * 16 + 8),
    # one scale and one zero point of whole bytes for the tensor
    (weight(3, granularity="tensor", symmetric=False), 2 * 16 + 16 + 8 + 8),
    (weight(8, granularity="group:2", symmetric=False), 2 * 40 + 6 * (16 + 8) + 8),
    (FLOAT, 2 * 5 * 32),
])
def test_ragged_rows_and_groups_counted_by_hand(scheme, bits):
    assert table([scheme], linear("a", (2, 5))) == (float(bits),)


def test_float_counts_the_width_the_model_has():
    assert table([FLOAT], linear("a", (2, 5), float_bits=16)) == (160.0,)


def test_a_convolution_counts_all_of_its_kernel():
    conv = LayerSpec(name="c", kind="conv", weight="c.weight", weight_shape=(4, 3, 3, 3))
    assert table([weight(4)], conv) == (4 * 112 + 4 * 16 + 8.0,)  # 27 * 4 = 108 -> 112


def test_a_matmul_stores_nothing():
    scheme = Scheme(input=IntFormat(bits=8, granularity="token"))
    assert table([FLOAT, scheme], LayerSpec(name="qk", kind="matmul")) == (0.0, 0.0)


def test_the_input_format_stores_nothing():
    plain = weight(4)
    with_input = Scheme(weight=plain.weight, input=IntFormat(bits=8, granularity="token"))
    first, second = table([plain, with_input], linear("a", (2, 5)))
    assert first == second


def test_layers_of_a_group_add_up_and_a_shared_weight_counts_once():
    tied = [LayerSpec(name=name, kind=kind, weight=f"{name}.weight", weight_shape=(2, 8),
                      parameter_group="p")
            for name, kind in (("embed", "embedding"), ("head", "linear"))]
    one = 2 * 32 + 2 * 16 + 8
    assert table([weight(4)], *tied) == (one,)
    assert table([weight(4)], *tied, linear("a", (2, 8))) == (2 * one,)


def test_a_weight_shared_across_groups_counts_where_it_comes_first():
    layers = tuple(linear(name, (2, 8), parameter_group="p") for name in "ab")
    groups = tuple(Group(name=name, layers=(name,), schemes=(FLOAT,)) for name in "ab")
    space = SearchSpace(name="s", layers=layers, groups=groups)
    assert size(space).values == ((512.0,), (0.0,))
    assert size(space).total((0, 0)) == 32 * space.weights


@given(rows=st.integers(1, 9), columns=st.integers(1, 40), bits=st.integers(2, 16),
       run=st.integers(1, 50), symmetric=st.booleans())
def test_any_group_size_matches_a_count_element_by_element(rows, columns, bits, run, symmetric):
    scheme = weight(bits, granularity=f"group:{run}", symmetric=symmetric)
    (found,) = table([scheme], linear("a", (rows, columns)))
    codes = scales = 0
    for _ in range(rows):
        row = sum(bits for _ in range(columns))
        codes += row + -row % 8
        scales += len({column // run for column in range(columns)})
    zero_point = 0 if symmetric else 8 * math.ceil(bits / 8)
    assert found == codes + scales * (16 + zero_point) + 8
    assert found.is_integer()
