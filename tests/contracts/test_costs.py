"""What every cost promises: a function from a search space to one finite number a scheme."""

from itertools import product

import pytest

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Group, LayerSpec, Scheme, ScoreTable, SearchSpace
from mpsearch.cost.costs import COSTS

WIDTHS = (2, 4, 8)
LAYERS = (
    LayerSpec(name="embed", kind="embedding", weight="embed.weight", weight_shape=(7, 5),
              parameter_group="p"),
    LayerSpec(name="conv", kind="conv", weight="conv.weight", weight_shape=(4, 3, 3, 3), macs=108),
    LayerSpec(name="qk", kind="matmul", macs=50),
    LayerSpec(name="head", kind="linear", weight="head.weight", weight_shape=(7, 5), macs=35,
              parameter_group="p"),
)
WEIGHTED = (*(Scheme(weight=IntFormat(bits=w), input=IntFormat(bits=a, granularity="token"))
              for w, a in product(WIDTHS, WIDTHS)), Scheme())
MATMUL = (*(Scheme(input=IntFormat(bits=a, granularity="token"),
                   other=IntFormat(bits=b, granularity="token"))
            for a, b in product(WIDTHS, WIDTHS)), Scheme())
SPACE = SearchSpace(name="s", layers=LAYERS, groups=(
    Group(name="embed", layers=("embed", "head"), schemes=WEIGHTED),
    Group(name="conv", layers=("conv",), schemes=WEIGHTED),
    Group(name="qk", layers=("qk",), schemes=MATMUL),
))


@pytest.fixture(params=COSTS)
def cost(request):
    return COSTS[request.param]


def test_a_cost_goes_by_its_metric():
    assert {name: cost(SPACE).metric for name, cost in COSTS.items()} == {
        name: name for name in COSTS}


def test_one_value_for_every_scheme_of_every_group_in_order(cost):
    table = cost(SPACE)
    assert isinstance(table, ScoreTable)
    assert table.groups == tuple(group.name for group in SPACE.groups)
    assert [len(row) for row in table.values] == [len(group.schemes) for group in SPACE.groups]
    assert table.metric
    assert table.unit


def test_values_are_floats_and_not_negative(cost):
    values = [value for row in cost(SPACE).values for value in row]
    assert all(isinstance(value, float) and value >= 0 for value in values)


def test_the_same_space_gives_the_same_table(cost):
    assert cost(SPACE) == cost(SPACE)


def test_a_space_without_layers_gives_an_empty_table(cost):
    assert cost(SearchSpace(name="s", layers=(), groups=())).values == ()
