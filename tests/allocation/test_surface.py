"""The front of two costs against brute force over the grid, with reuse."""

import itertools

import numpy as np
import pytest

from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.surface import front2
from mpsearch.core.errors import BadInput, Infeasible


@pytest.mark.parametrize("seed", range(3))
def test_every_pair_of_limits_has_its_best_selection(model_like, brute_force, seed):
    problem = model_like(seed, groups=5, schemes=4, budgets=2)
    found = front2(problem, (0, 1), (5, 4), Ilp())
    axes = [np.linspace(problem.floor(m), problem.ceiling(m), n) for m, n in ((0, 5), (1, 4))]
    for first, second in itertools.product(*axes):
        least = brute_force(problem.limited(0, first).limited(1, second))
        objectives = [each.objective for each in found
                      if each.costs[0] <= first and each.costs[1] <= second]
        assert min(objectives, default=None) == (
            None if least is None else pytest.approx(least, rel=1e-12))


def test_no_selection_matches_another(model_like):
    found = front2(model_like(4, groups=8, budgets=2), (0, 1), (6, 6), Ilp())
    assert len(found) > 3
    for one, other in itertools.permutations(found, 2):
        assert (one.objective > other.objective or one.costs[0] > other.costs[0]
                or one.costs[1] > other.costs[1])
    assert [each.costs for each in found] == sorted(each.costs for each in found)


def test_answers_are_reused_and_other_limits_stay(model_like):
    problem = model_like(5, groups=8, budgets=3)
    asked = []

    def allocator(each):
        asked.append(each.limits[:2])
        return Ilp()(each)

    found = front2(problem, (0, 1), (6, 6), allocator)
    assert len(asked) < 36
    assert len(set(asked)) == len(asked)
    assert all(each.costs[2] <= problem.limits[2] for each in found)


def test_two_metrics_are_needed(model_like):
    problem = model_like(0, groups=3, budgets=2)
    for metrics in ((0, 0), (0, 2), (-1, 0)):
        with pytest.raises(BadInput, match="two of the problem's 2 metrics"):
            front2(problem, metrics, (2, 2), Ilp())
    with pytest.raises(BadInput, match="at least one point"):
        front2(problem, (0, 1), (2, 0), Ilp())


def test_a_third_limit_out_of_reach_is_named():
    rows = (np.array([1.0, 2.0]),)
    problem = Problem(losses=rows, costs=(rows,) * 3, limits=(2.0, 2.0, 0.5),
                      metrics=("size", "bops", "time"))
    with pytest.raises(Infeasible, match="time within"):
        front2(problem, (0, 1), (2, 2), Ilp())
