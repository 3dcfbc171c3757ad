"""The front of two costs, against every choice there is."""

import itertools

import numpy as np
import pytest

from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.problem import Problem
from mpsearch.core.budget import Budget
from mpsearch.steps.allocate import allocate
from mpsearch.steps.surfaces import front2, surface_of


@pytest.mark.parametrize("seed", range(5))
def test_every_policy_of_the_front_is_the_best_within_its_own_costs(seed):
    draw = np.random.default_rng(seed)
    problem = Problem(losses=tuple(draw.uniform(0, 1, (4, 3))), limits=(np.inf, np.inf),
                      costs=tuple(tuple(draw.integers(1, 20, (4, 3)).astype(float))
                                  for _ in range(2)), metrics=("size", "time"))
    found = front2(problem, 6, Ilp())
    choices = list(itertools.product(range(3), repeat=4))
    for selection in found:
        within = [problem.objective(choice) for choice in choices
                  if all(map(float.__le__, problem.spent(choice), selection.costs))]
        assert selection.objective == min(within)
    assert len({selection.costs for selection in found}) == len(found)
    for limits in itertools.product(*(np.linspace(problem.floor(m), problem.ceiling(m), 6)
                                      for m in range(2))):
        best = min((problem.objective(choice) for choice in choices
                    if all(map(float.__le__, problem.spent(choice), limits))), default=None)
        known = min((selection.objective for selection in found
                     if all(map(float.__le__, selection.costs, limits))), default=None)
        assert known == best, "the grid's own limits are answered exactly"


def allocated(two_layers, make_measured, *texts):
    return allocate(make_measured(two_layers, [[9.0, 5.0, 0.0], [9.0, 1.0, 0.0]]), "kl_probe",
                    [Budget.parse(text) for text in texts])


def test_two_kinds_of_budget_have_a_surface_in_their_units(two_layers, make_measured):
    allocation = allocated(two_layers, make_measured, "4.9bpw", "8bpw", "82kBOPs")
    found = surface_of(allocation, "net")
    assert found.labels == ("bits per weight", "GBOPs")
    assert found.limits == pytest.approx((4.9, 82e-6), rel=1e-3), "the tightest of each"
    assert found.chosen.loss == allocation.selection.objective
    assert found.chosen.x == allocation.totals.bits_per_weight
    assert found.chosen.y == allocation.totals.bops / 1e9
    assert {point.loss for point in found.points} >= {18.0, 0.0}, "from the floor to the ceiling"


@pytest.mark.parametrize("texts", [("4.9bpw",), ("4.9bpw", "8bpw"), ("90kBOPs",)])
def test_one_kind_of_budget_has_none(two_layers, make_measured, texts):
    assert surface_of(allocated(two_layers, make_measured, *texts), "net") is None
