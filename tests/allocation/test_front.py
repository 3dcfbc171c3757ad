"""The predicted front: monotone, without repeats, best at every limit."""

import itertools
import math

import numpy as np
import pytest

from mpsearch.allocation.front import front
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import BadInput, Infeasible


def test_every_limit_has_its_best_selection(model_like, dynamic_program):
    problem = model_like(1, groups=10)
    limits = np.floor(np.linspace(problem.floor(0), problem.ceiling(0), 12)).tolist()
    found = front(problem, 0, limits, Ilp())
    for limit in limits:
        best = min(s.objective for s in found if s.costs[0] <= limit)
        assert best == pytest.approx(dynamic_program(problem.limited(0, limit)), rel=1e-12)


def test_it_rises_in_cost_and_falls_in_objective(model_like):
    problem = model_like(2, groups=15)
    found = front(problem, 0, 25, Ilp())
    assert found[0].costs[0] == problem.floor(0)
    assert found[-1].objective == math.fsum(float(row.min()) for row in problem.losses)
    for smaller, larger in itertools.pairwise(found):
        assert smaller.costs[0] < larger.costs[0]
        assert smaller.objective > larger.objective


def test_shared_selections_are_there_once_and_solved_once():
    problem = Problem(losses=(np.array([5.0, 1.0, 0.0]),), metrics=("size",), limits=(0.0,),
                      costs=((np.array([1.0, 2.0, 10.0]),),))
    asked = []

    def allocator(each):
        asked.append(each.limits[0])
        return Ilp()(each)

    found = front(problem, 0, [9.0, 8.0, 1.0, 7.0, 2.0], allocator)
    assert [selection.choice for selection in found] == [(0,), (1,)]
    assert asked == [9.0, 1.0]


def test_the_other_limits_stay(model_like):
    problem = model_like(3, groups=8, budgets=2)
    found = front(problem, 0, 9, Ilp())
    assert all(selection.costs[1] <= problem.limits[1] for selection in found)


def test_limits_out_of_reach_are_left_out(model_like):
    problem = model_like(4, groups=8)
    floor = problem.floor(0)
    found = front(problem, 0, [floor - 1, floor], Ilp())
    assert [selection.costs[0] for selection in found] == [floor]
    with pytest.raises(Infeasible, match="metric0"):
        front(problem, 0, [floor - 2, floor - 1], Ilp())


def test_a_worse_answer_to_a_larger_limit_is_dropped():
    answers = {1.0: ((0,), 4.0, 1.0), 2.0: ((1,), 5.0, 2.0), 3.0: ((2,), 3.0, 3.0)}

    def allocator(each):
        choice, objective, cost = answers[each.limits[0]]
        return Selection(choice=choice, objective=objective, bound=0.0, status="feasible",
                         costs=(cost,))

    problem = Problem(losses=(np.array([4.0, 5.0, 3.0]),), metrics=("size",), limits=(3.0,),
                      costs=((np.array([1.0, 2.0, 3.0]),),))
    found = front(problem, 0, [1.0, 2.0, 3.0], allocator)
    assert [selection.choice for selection in found] == [(0,), (2,)]


@pytest.mark.parametrize(("metric", "limits"), [(1, [5.0]), (-1, [5.0]), (0, [])])
def test_no_metric_and_no_limits_are_refused(model_like, metric, limits):
    with pytest.raises(BadInput):
        front(model_like(0, groups=3), metric, limits, Ilp())
