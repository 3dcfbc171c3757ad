"""What every allocator promises: a choice within the limits, and a bound that holds."""

import itertools

import numpy as np
import pytest

from mpsearch.allocation.problem import Problem
from mpsearch.core import io
from mpsearch.core.errors import Infeasible
from mpsearch.plugins import load, names

SEEDS = range(6)


def problem_of(seed):
    """Five groups of one to four candidates, one or two budgets."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 5, 5)
    budgets = 1 + seed % 2
    costs = tuple(tuple(draw.integers(1, 50, size).astype(float) for size in sizes)
                  for _ in range(budgets))
    losses = tuple(10.0 ** draw.uniform(-8, 0, size) for size in sizes)
    target = [draw.integers(size) for size in sizes]
    limits = tuple(float(sum(row[k] for row, k in zip(rows, target, strict=True)))
                   for rows in costs)
    return Problem(losses=losses, costs=costs, limits=limits,
                   metrics=tuple(f"metric{m}" for m in range(budgets)))


@pytest.fixture(params=names("allocator"))
def allocator(request):
    return load("allocator", request.param)()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_choice_exists_and_keeps_to_the_limits(allocator, seed):
    problem = problem_of(seed)
    selection = allocator(problem)
    assert all(0 <= k < row.size
               for k, row in zip(selection.choice, problem.losses, strict=True))
    assert all(type(k) is int for k in selection.choice)
    assert problem.meets(selection.choice)
    assert selection.objective == problem.objective(selection.choice)
    assert selection.costs == problem.spent(selection.choice)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_choice_within_the_limits_is_below_the_bound(allocator, seed):
    problem = problem_of(seed)
    selection = allocator(problem)
    choices = itertools.product(*(range(row.size) for row in problem.losses))
    least = min(problem.objective(choice) for choice in choices if problem.meets(choice))
    assert selection.bound <= least <= selection.objective
    if selection.status == "optimal":
        assert selection.objective == pytest.approx(least, rel=1e-9)


def test_the_same_problem_gives_the_same_bytes(allocator):
    first, second = (io.dumps(allocator(problem_of(1))) for _ in range(2))
    assert first == second


def test_an_impossible_limit_is_named_with_its_floor(allocator):
    problem = problem_of(0)
    floor = problem.floor(0)
    with pytest.raises(Infeasible, match=rf"metric0.*{floor:g}"):
        allocator(problem.limited(0, floor - 1))
