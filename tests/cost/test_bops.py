import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Group, LayerSpec, Scheme, SearchSpace
from mpsearch.cost.bops import bops


def scheme(**bits):
    return Scheme(**{name: IntFormat(bits=width, granularity="tensor")
                     for name, width in bits.items()})


def table(schemes, *layers):
    """BOPs of one group that holds all layers."""
    group = Group(name="g", layers=tuple(layer.name for layer in layers), schemes=tuple(schemes))
    return bops(SearchSpace(name="s", layers=layers, groups=(group,))).values[0]


@pytest.mark.parametrize(("kind", "bits", "expected"), [
    ("linear", {"weight": 3, "input": 8}, 100 * 3 * 8),
    ("conv", {"weight": 2, "input": 4}, 100 * 2 * 4),
    ("linear", {"weight": 4}, 100 * 4 * 32),
    ("linear", {"input": 8}, 100 * 32 * 8),
    ("linear", {}, 100 * 32 * 32),
    ("matmul", {"input": 6, "other": 4}, 100 * 6 * 4),
    ("matmul", {"input": 6}, 100 * 6 * 32),
    ("matmul", {"weight": 2}, 100 * 32 * 32),
    ("embedding", {"weight": 4}, 0),
    ("embedding", {}, 0),
])
def test_one_layer_counted_by_hand(kind, bits, expected):
    layer = LayerSpec(name="a", kind=kind, macs=100)
    assert table([scheme(**bits)], layer) == (float(expected),)


def test_float_operands_count_the_width_the_model_has():
    layer = LayerSpec(name="a", kind="linear", macs=10, float_bits=16)
    assert table([scheme(weight=4), Scheme()], layer) == (10 * 4 * 16.0, 10 * 16 * 16.0)


def test_layers_of_a_group_add_up_even_where_they_share_a_weight():
    layers = [LayerSpec(name="embed", kind="embedding", parameter_group="p", macs=7),
              LayerSpec(name="head", kind="linear", parameter_group="p", macs=10),
              LayerSpec(name="again", kind="linear", parameter_group="p", macs=1)]
    assert table([scheme(weight=2, input=8)], *layers) == (11 * 16.0,)


def test_metric_unit_and_groups():
    layer = LayerSpec(name="a", kind="linear", macs=1)
    group = Group(name="a", layers=("a",), schemes=(Scheme(),))
    found = bops(SearchSpace(name="s", layers=(layer,), groups=(group,)))
    assert (found.metric, found.unit, found.groups) == ("bops", "BOPs", ("a",))


@given(macs=st.integers(0, 2**40), weight=st.integers(2, 16), taken=st.integers(2, 16))
def test_values_are_exact_integers(macs, weight, taken):
    (found,) = table([scheme(weight=weight, input=taken)],
                     LayerSpec(name="a", kind="linear", macs=macs))
    assert isinstance(found, float)
    assert int(found) == macs * weight * taken
