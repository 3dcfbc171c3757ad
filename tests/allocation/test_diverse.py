"""Diverse choices against a search through all of them."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mpsearch.allocation.diverse import diverse
from mpsearch.allocation.dynamic import Dynamic
from mpsearch.allocation.greedy import Greedy
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput, Infeasible


def apart(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


def feasible(problem):
    choices = itertools.product(*(range(row.size) for row in problem.losses))
    return [choice for choice in choices if problem.meets(choice)]


@settings(max_examples=25)
@given(data=st.data(), count=st.integers(1, 6), distance=st.integers(1, 3))
def test_each_is_the_best_that_keeps_its_distance(problems, data, count, distance):
    problem = data.draw(problems(budgets=(0, 2), groups=4, schemes=3))
    choices = feasible(problem)
    assume(choices)
    found = diverse(problem, Ilp(), count, distance=distance)
    earlier = []
    for selection in found:
        left = [choice for choice in choices
                if all(apart(choice, each) >= distance for each in earlier)]
        assert selection.choice in left
        least = min(map(problem.objective, left))
        assert selection.objective == pytest.approx(least, rel=1e-9, abs=1e-9 * spread(problem))
        assert selection.bound <= least
        assert selection.costs == problem.spent(selection.choice)
        earlier.append(selection.choice)
    left = [choice for choice in choices
            if all(apart(choice, each) >= distance for each in earlier)]
    assert len(found) == count or not left


def spread(problem):
    return sum(float(np.ptp(row)) for row in problem.losses)


@pytest.mark.parametrize("allocator", [Ilp(), Dynamic()], ids=["ilp", "dynamic"])
def test_a_distance_of_one_gives_the_best_in_order(model_like, allocator):
    problem = model_like(2, groups=5, schemes=4)
    best = sorted(map(problem.objective, feasible(problem)))[:8]
    found = [each.objective for each in diverse(problem, allocator, 8)]
    assert found == pytest.approx(best, rel=1e-12)
    assert found == sorted(found)


def test_it_stops_where_no_more_exist():
    problem = Problem(losses=(np.array([0.0, 1.0]),) * 2)
    assert diverse(problem, Ilp(), 9)[0].choice == (0, 0)
    assert len(diverse(problem, Ilp(), 9)) == 4
    assert [each.choice for each in diverse(problem, Ilp(), 9, distance=2)] == [(0, 0), (1, 1)]
    assert len(diverse(problem, Ilp(), 9, distance=3)) == 1


def test_it_stops_where_losses_are_too_large():
    problem = Problem(losses=(np.array([10.0, 11.0, 12.0, 30.0]),))
    assert [each.objective for each in diverse(problem, Ilp(), 9, within=0.1)] == [10.0, 11.0]
    assert len(diverse(problem, Ilp(), 9, within=0.0)) == 1
    below = Problem(losses=(np.array([-10.0, -9.5, -8.0]),))
    assert [each.objective for each in diverse(below, Ilp(), 9, within=0.1)] == [-10.0, -9.5]


def test_answers_of_a_heuristic_come_in_order_too(model_like):
    found = diverse(model_like(1, groups=12), Greedy(), 5, distance=2)
    losses = [each.objective for each in found]
    assert losses == sorted(losses)
    assert all(apart(a.choice, b.choice) >= 2 for a, b in itertools.combinations(found, 2))


def test_what_cannot_be_met_or_asked_is_refused(model_like):
    problem = model_like(0, groups=4)
    with pytest.raises(Infeasible):
        diverse(problem.limited(0, 0.0), Ilp(), 3)
    for count, distance, within in ((0, 1, None), (1, 0, None), (1, 1, -0.1)):
        with pytest.raises(BadInput):
            diverse(problem, Ilp(), count, distance=distance, within=within)
