"""Prices against brute force, finite differences of the relaxation, and an independent solver."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.limits import BelowFloor
from mpsearch.allocation.prices import next_best, prices
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import Unsupported


def relaxed(problem):
    """The optimum of the linear relaxation, by SciPy; None if there is none."""
    columns = [(g, k) for g, row in enumerate(problem.losses) for k in range(row.size)]
    one_each = [[float(g == group) for g, _ in columns] for group in range(len(problem.losses))]
    costs = [[rows[g][k] for g, k in columns] for rows in problem.costs]
    found = linprog([problem.losses[g][k] for g, k in columns], A_ub=costs or None,
                    b_ub=problem.limits or None, A_eq=one_each, b_eq=np.ones(len(one_each)))
    return found.fun if found.status == 0 else None


@st.composite
def small(draw, budgets=(1, 3)):
    """Numbers of one size, so that a solver's absolute tolerances do not matter."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    count = draw(st.integers(*budgets))

    def rows(largest):
        value = st.integers(0, largest).map(float)
        return tuple(np.array(draw(st.lists(value, min_size=size, max_size=size)))
                     for size in sizes)

    costs = tuple(rows(9) for _ in range(count))
    target = [draw(st.integers(0, size - 1)) for size in sizes]
    limits = tuple(float(sum(row[k] for row, k in zip(table, target, strict=True)))
                   + draw(st.sampled_from([0.0, 0.5, 2.0])) for table in costs)
    return Problem(losses=rows(50), costs=costs, limits=limits,
                   metrics=tuple(f"metric{m}" for m in range(count)))


@given(small())
@settings(max_examples=60)
def test_the_bound_is_the_optimum_of_the_relaxation(problem):
    assert prices(problem).bound == pytest.approx(relaxed(problem), rel=1e-6, abs=1e-6)


@given(small(), st.sampled_from([0.25, 1.0, 3.0]))
@settings(max_examples=60)
def test_a_price_lies_between_what_more_saves_and_what_less_costs(problem, step):
    found = prices(problem)
    here = relaxed(problem)
    for metric, price in enumerate(found.values):
        more = relaxed(problem.limited(metric, problem.limits[metric] + step))
        less = relaxed(problem.limited(metric, problem.limits[metric] - step))
        assert here - more <= price * step + 1e-6
        assert less is None or price * step <= less - here + 1e-6


@given(small())
@settings(max_examples=30)
def test_the_bound_is_below_every_choice(problem):
    found = prices(problem)
    assert min(found.values) >= 0
    assert found.bound <= Ilp()(problem).objective + 1e-9


def test_one_price_is_the_slope_of_the_hull():
    """By hand: from 4 to 5 units, loss falls by 3 in the first group, by 2 in the second."""
    problem = Problem(losses=(np.array([9.0, 3.0, 0.0]), np.array([4.0, 2.0])),
                      costs=((np.array([1.0, 3.0, 4.0]), np.array([1.0, 2.0])),),
                      limits=(4.5,), metrics=("size",))
    assert prices(problem).values == (3.0,), "6 for 2 first, then 3 for 1, then 2 for 1"
    assert prices(problem.limited(0, 5.5)).values == (2.0,)
    assert prices(problem.limited(0, 6.0)).values == (0.0,)
    assert prices(problem.limited(0, math.inf)).values == (0.0,)


def test_a_limit_below_the_floor_has_no_price():
    with pytest.raises(BelowFloor):
        prices(Problem(losses=(np.ones(2),), costs=((np.ones(2),),), limits=(0.5,),
                       metrics=("size",)))


@pytest.mark.parametrize("budgets", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_losses_over_many_decades_keep_their_prices(model_like, budgets, seed):
    """The bound comes within one group's step of the optimum, which is all that can be had."""
    problem = model_like(seed, budgets=budgets)
    found = prices(problem)
    best = Ilp()(problem)
    assert found.bound <= best.objective * (1 + 1e-9)
    charges = found.charges(problem)
    widest = max(float(np.ptp(row)) for row in problem.losses)
    gap = best.objective - found.bound
    assert gap <= budgets * widest
    slack = sum(price * (limit - cost) for price, limit, cost
                in zip(found.values, problem.limits, best.costs, strict=True))
    over = math.fsum(float(row[k] - row.min()) for row, k in zip(charges, best.choice, strict=True))
    assert gap == pytest.approx(slack + over, rel=1e-6, abs=1e-9 * widest), "where the gap is"


@given(small(budgets=(1, 2)))
@settings(max_examples=20)
def test_a_candidate_costs_at_least_the_bound_and_what_it_is_charged_above_the_least(problem):
    at = prices(problem)
    charges = at.charges(problem)
    choices = list(itertools.product(*(range(row.size) for row in problem.losses)))
    for group, row in enumerate(problem.losses):
        for k in range(row.size):
            known = [problem.objective(c) for c in choices if c[group] == k and problem.meets(c)]
            if known:
                low = at.bound + charges[group][k] - charges[group].min()
                assert low <= min(known) + 1e-6
                assert Ilp()(problem.pin(group, k).problem).objective == pytest.approx(min(known))


@given(small(budgets=(0, 2)))
@settings(max_examples=30)
def test_the_next_best_is_the_other_candidate_of_least_charge(problem):
    for row in prices(problem).charges(problem):
        other = next_best(row, 0)
        assert (other is None) == (row.size == 1)
        if other is not None:
            assert other > 0
            assert row[other] == min(row[1:])


@pytest.mark.parametrize("terms", [
    {"pairs": (Pair(first=0, second=1, values=np.array([[-5.0, 0.0], [0.0, 0.0]])),)},
    {"factor": np.ones((1, 4))}])
def test_interactions_have_no_prices(terms):
    """A bound that leaves them out could lie above the best choice."""
    rows = (np.array([3.0, 1.0]), np.array([3.0, 1.0]))
    with pytest.raises(Unsupported, match="losses that add up"):
        prices(Problem(losses=rows, costs=(rows,), limits=(3.0,), metrics=("size",), **terms))
