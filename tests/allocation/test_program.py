"""The integer program as the solver sees it: scaled, deterministic, and believed with care."""

import math

import numpy as np
import pytest

from mpsearch.allocation import program
from mpsearch.allocation.core import Core
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput

pytestmark = pytest.mark.filterwarnings("error")
MINUTE = {"solver": "HiGHS", "seconds": 60.0}


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
@pytest.mark.parametrize("unit", [1.0, 1e9, 0.1])
def test_the_solver_does_not_see_the_scale(model_like, dynamic_program, scale, unit):
    problem = model_like(1, groups=10, decades=2.0)
    least = dynamic_program(problem)
    scaled = Problem(losses=tuple(row * scale for row in problem.losses),
                     costs=(tuple(row * unit for row in problem.costs[0]),),
                     limits=(problem.limits[0] * unit * (1 + 1e-12),), metrics=("size",))
    answer = program.solve(Core.of(scaled), **MINUTE)
    assert problem.objective(answer.choice) == pytest.approx(least, rel=1e-12)
    assert Core.of(scaled).base + answer.bound <= least * scale
    assert Core.of(scaled).base + answer.bound >= least * scale * (1 - 1e-5)


def test_a_margin_keeps_room_back(model_like):
    problem = model_like(2, groups=8)
    answer = program.solve(Core.of(problem), margin=0.2, **MINUTE)
    room = problem.limits[0] - problem.floor(0)
    assert problem.cost(0, answer.choice) <= problem.floor(0) + 0.8 * room


def test_two_limits_that_exclude_each_other_are_infeasible():
    costs = ((np.array([0.0, 2.0]),), (np.array([2.0, 0.0]),))
    problem = Problem(losses=(np.array([0.0, 1.0]),), costs=costs, limits=(1.0, 1.0),
                      metrics=("size", "bops"))
    answer = program.solve(Core.of(problem), **MINUTE)
    assert answer.infeasible
    assert answer.choice is None


def test_a_solver_without_time_knows_nothing(model_like):
    answer = program.solve(Core.of(model_like(4)), solver="HiGHS", seconds=0.0)
    assert not answer.infeasible
    assert answer.choice is None
    assert answer.bound == -math.inf


def test_an_unknown_solver_is_refused(model_like):
    with pytest.raises(BadInput, match="unknown solver 'abacus'"):
        program.solve(Core.of(model_like(0)), solver="abacus", seconds=1.0)


@pytest.mark.parametrize("large", [1e12, 1e17])
def test_costs_far_beyond_a_limit_exclude_their_candidates(large):
    problem = Problem(
        losses=(np.array([1.0, 0.0]), np.array([1.0, 0.0, 0.5])), metrics=("size",), limits=(3.0,),
        costs=((np.array([1.0, large]), np.array([1.0, large, 2.0])),))
    core = Core.of(problem)
    assert program.solve(core, solver="HiGHS", seconds=10).choice == (0, 2)
