"""Exact swaps: repair what exceeds a limit, improve what is not best."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mpsearch.allocation.core import Core
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.swaps import improve, repair


def problem_of(losses, costs, limit):
    return Problem(losses=tuple(np.array(row, dtype=float) for row in losses), metrics=("size",),
                   costs=(tuple(np.array(row, dtype=float) for row in costs),), limits=(limit,))


def test_one_swap_improves():
    core = Core.of(problem_of([[5, 1], [5, 3]], [[1, 2], [1, 2]], 3.0))
    assert improve(core, (0, 1)) == (1, 0)
    assert improve(core, (0, 0)) == (1, 0)


def test_two_swaps_improve_where_one_cannot():
    core = Core.of(problem_of([[9, 0], [1, 0], [1, 0]], [[0, 2], [0, 2], [0, 1]], 2.0))
    assert improve(core, (0, 1, 0)) == (1, 0, 0)


def test_a_group_on_its_own_can_be_swapped():
    core = Core.of(problem_of([[3, 1, 0]], [[0, 1, 2]], 1.0))
    assert improve(core, (0,)) == (1,)
    assert repair(core, (2,)) == (1,)


def test_repair_takes_the_least_loss():
    core = Core.of(problem_of([[4, 0], [2, 0], [3, 0]], [[0, 5], [0, 5], [0, 5]], 10.0))
    assert repair(core, (1, 1, 1)) == (1, 0, 1)
    assert repair(core, (0, 0, 0)) == (0, 0, 0)


def test_repair_goes_on_beyond_two_swaps():
    groups = 7
    core = Core.of(problem_of([[1, 0]] * groups, [[0, 1]] * groups, 1.0))
    repaired = repair(core, (1,) * groups)
    assert repaired is not None
    assert sum(repaired) == 1


def test_repair_admits_defeat():
    losses = (np.array([0.0, 1.0]),)
    costs = ((np.array([0.0, 2.0]),), (np.array([2.0, 0.0]),))
    problem = Problem(losses=losses, costs=costs, limits=(1.0, 1.0), metrics=("size", "bops"))
    assert repair(Core.of(problem), (0,)) is None


@settings(max_examples=80)
@given(data=st.data())
def test_swaps_keep_to_the_limits_and_never_lose(problems, brute_force, data):
    problem = data.draw(problems(budgets=(1, 3))).binding()
    least = brute_force(problem)
    assume(least is not None)
    core = Core.of(problem)
    start = tuple(data.draw(st.integers(0, row.size - 1)) for row in problem.losses)
    repaired = repair(core, start)
    assert not problem.meets(start) or repaired == start
    if repaired is not None:
        better = improve(core, repaired)
        assert problem.meets(repaired)
        assert problem.meets(better)
        assert least <= problem.objective(better) <= problem.objective(repaired)
    if repaired is not None and len(problem.losses) <= 2:
        assert problem.objective(better) == least
