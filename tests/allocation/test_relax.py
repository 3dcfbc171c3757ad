"""The smallest relaxations against brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.coupled import Coupled
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.relax import relax


@st.composite
def tight(draw):
    """Two or three whole-numbered costs under limits that often exclude each other."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    count = draw(st.integers(2, 3))
    costs = tuple(tuple(np.array(draw(st.lists(st.integers(0, 20).map(float), min_size=size,
                                               max_size=size))) for size in sizes)
                  for _ in range(count))
    losses = tuple(np.zeros(size) for size in sizes)
    limits = tuple(sum(float(row.min()) for row in table) + draw(st.integers(-3, 10))
                   for table in costs)
    return Problem(losses=losses, costs=costs, limits=limits,
                   metrics=tuple(f"metric{m}" for m in range(count)))


def spendings(problem):
    choices = itertools.product(*(range(row.size) for row in problem.losses))
    return [problem.spent(choice) for choice in choices]


@given(tight())
@settings(max_examples=60)
def test_the_least_limit_beside_the_others_is_that_of_brute_force(problem):
    found = relax(problem, Ilp())
    for metric, least in enumerate(found.alone):
        known = [spent[metric] for spent in spendings(problem)
                 if all(cost <= limit for m, (cost, limit)
                        in enumerate(zip(spent, problem.limits, strict=True)) if m != metric)]
        assert least == min(known, default=None)
    if found.together is None:
        assert any(least is not None for least in found.alone)


@given(tight())
@settings(max_examples=60)
def test_where_none_is_enough_alone_all_are_raised_and_not_more_than_needed(problem):
    found = relax(problem, Ilp())
    if found.together is None:
        return
    assert all(map(float.__ge__, found.together, problem.limits))
    known = spendings(problem)
    assert any(all(map(float.__le__, spent, found.together)) for spent in known)
    ways = [problem.ceiling(m) - limit for m, limit in enumerate(problem.limits)]

    def share(spent):
        return max(0.0 if cost <= limit else (cost - limit) / way
                   for cost, limit, way in zip(spent, problem.limits, ways, strict=True))

    assert share(found.together) <= min(map(share, known)) + 1e-5


def test_three_costs_of_which_no_single_one_is_enough():
    """Each candidate is cheap on one metric only."""
    costs = tuple((np.array([0.0 if k == m else 10.0 for k in range(3)]),) for m in range(3))
    problem = Problem(losses=(np.zeros(3),), costs=costs, limits=(5.0, 5.0, 5.0),
                      metrics=("a", "b", "c"))
    found = relax(problem, Ilp())
    assert found.alone == (None, None, None)
    assert sorted(found.together) == [5.0, 10.0, 10.0]


def test_two_costs_by_hand():
    problem = Problem(losses=(np.zeros(3),), limits=(2.0, 2.0), metrics=("a", "b"),
                      costs=((np.array([1.0, 3.0, 4.0]),), (np.array([4.0, 3.0, 1.0]),)))
    assert relax(problem, Ilp()).alone == (4.0, 4.0)
    assert relax(problem.limited(0, 3.0), Ilp()).alone == pytest.approx((4.0, 3.0))


def test_interactions_do_not_change_what_a_choice_costs_but_forbidden_pairs_do():
    """The dear pair saves so much loss that it would be taken for the least size."""
    rows, size = (np.zeros(2), np.zeros(2)), (np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    problem = Problem(losses=rows, costs=(size,), limits=(1.0,), metrics=("size",), pairs=(
        Pair(first=0, second=1, values=np.array([[0.0, 0.0], [0.0, -50.0]])),))
    assert relax(problem, Coupled()).alone == (2.0,)
    forbidding = replace(problem, pairs=(
        Pair(first=0, second=1, values=np.array([[np.inf, 0.0], [0.0, -50.0]])),))
    assert relax(forbidding, Coupled()).alone == (3.0,)
    with_factor = replace(problem, pairs=(), factor=np.array([[0.0, 9.0, 0.0, -9.0]]))
    assert relax(with_factor, Ilp()).alone == (2.0,)
