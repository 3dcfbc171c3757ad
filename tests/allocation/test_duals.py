"""Prices of a core's limits: those of the relaxation, and none where there is no solution."""

import numpy as np
import pytest

from mpsearch.allocation.core import Core
from mpsearch.allocation.duals import core_duals
from mpsearch.allocation.prices import prices
from mpsearch.allocation.problem import Problem

pytestmark = pytest.mark.filterwarnings("error")


def test_only_a_limit_that_binds_has_a_price(model_like):
    problem = model_like(6, budgets=2)
    loose = problem.limited(1, problem.ceiling(1) - 1)
    price = core_duals(Core.of(loose), 60.0)
    assert price[0] > 0
    assert price[1] == 0


@pytest.mark.parametrize("seed", range(4))
def test_they_are_the_prices_of_the_whole_problem_up_to_a_factor(model_like, seed):
    problem = model_like(seed, budgets=2)
    core = Core.of(problem)
    found = core_duals(core, 60.0) * core.caps[:, 0] / np.array(problem.limits)
    expected = np.array(prices(problem).values)
    assert found / found.sum() == pytest.approx(expected / expected.sum(), rel=1e-6, abs=1e-9)


def test_limits_that_exclude_each_other_have_none():
    costs = ((np.array([0.0, 2.0]),), (np.array([2.0, 0.0]),))
    problem = Problem(losses=(np.array([0.0, 1.0]),), costs=costs, limits=(0.9, 0.9),
                      metrics=("size", "bops"))
    assert core_duals(Core.of(problem), 60.0) is None


def test_without_time_there_are_none(model_like):
    assert core_duals(Core.of(model_like(6, groups=60, budgets=2)), 0.0) is None


@pytest.mark.parametrize("large", [1e12, 1e17])
def test_costs_far_beyond_a_limit_do_not_hide_the_others(large):
    problem = Problem(
        losses=(np.array([1.0, 0.0]), np.array([1.0, 0.0, 0.5])), metrics=("size",), limits=(3.0,),
        costs=((np.array([1.0, large]), np.array([1.0, large, 2.0])),))
    assert core_duals(Core.of(problem), 60.0)[0] > 0
