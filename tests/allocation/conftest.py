"""Random allocation problems, and referees that share no code with the allocator."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import strategies as st

from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import Infeasible


@st.composite
def _problems(draw, budgets=(0, 3), groups=6, schemes=4):
    """Ragged menus, losses over up to 12 decades at any scale, whole and fractional costs."""
    sizes = draw(st.lists(st.integers(1, schemes), min_size=1, max_size=groups))
    decades, scale = draw(st.integers(0, 12)), 10.0 ** draw(st.integers(-12, 3))
    # Costs are exact down to 1e-32 of the largest total; below that they are rounded up.
    fraction = st.floats(0, 1000).filter(lambda value: value == 0 or value > 1e-20)
    cost = draw(st.sampled_from([
        st.integers(0, 9).map(float), st.integers(0, 10**9).map(float), fraction,
        st.integers(0, 10**5).map(lambda value: value / 100)]))
    loss = st.floats(0, 1).map(lambda place: scale * 10.0 ** (-decades * place))
    loss |= st.sampled_from([0.0, scale, -scale])

    def rows(value):
        return tuple(np.array(draw(st.lists(value, min_size=size, max_size=size)))
                     for size in sizes)

    count = draw(st.integers(*budgets))
    costs = tuple(rows(cost) for _ in range(count))
    target = [draw(st.integers(0, size - 1)) for size in sizes]
    slack = draw(st.sampled_from([0.0, 0.0, 0.1, 1.0, -0.1]))
    limits = tuple(sum(float(row[k]) for row, k in zip(table, target, strict=True)) * (1 + slack)
                   for table in costs)
    return Problem(losses=rows(loss), costs=costs, limits=limits,
                   metrics=tuple(f"metric{m}" for m in range(count)))


def _brute_force(problem):
    """Least objective of all choices within the limits, None if there are none."""
    choices = itertools.product(*(range(row.size) for row in problem.losses))
    return min((problem.objective(choice) for choice in choices if problem.meets(choice)),
               default=None)


def _check(problem, selection):
    """What a selection says of itself."""
    assert problem.meets(selection.choice)
    assert selection.objective == problem.objective(selection.choice)
    assert selection.costs == problem.spent(selection.choice)
    assert selection.bound <= selection.objective


def _against_brute_force(allocator, problem):
    """What an allocator answers, checked, and the least objective, in a list.

    The list is empty where there is no choice, and the allocator said so.
    """
    least = _brute_force(problem)
    if least is None:
        with pytest.raises(Infeasible):
            allocator(problem)
        return []
    selection = allocator(problem)
    _check(problem, selection)
    assert selection.objective >= least
    return [(selection, least)]


def _check_undominated(undominated):
    """Which of five entries of a loss and one or two costs no other one matches."""
    loss = np.array([3.0, 1.0, 1.0, 2.0, 0.5])
    one = np.array([1, 2, 2, 5, 5])[:, None, None]
    assert undominated(loss, one).tolist() == [0, 1, 4]
    two = np.concatenate([one, np.array([0, 0, 0, 0, 1])[:, None, None]], axis=1)
    assert undominated(loss, two).tolist() == [0, 1, 3, 4]
    assert undominated(loss[:0], two[:0]).tolist() == []


def _program(problem):
    """The same for one budget of whole numbers: least loss for every amount of cost."""
    costs = [(row - row.min()).astype(int) for row in problem.costs[0]]
    best = np.zeros(int(problem.limits[0]) - int(problem.floor(0)) + 1)
    for losses, spend in zip(problem.losses, costs, strict=True):
        extended = np.full(best.size, np.inf)
        for value, cost in zip(losses, spend, strict=True):
            if cost < best.size:
                extended[cost:] = np.minimum(extended[cost:], best[:best.size - cost] + value)
        best = extended
    return float(best.min())


def _model_like(seed, groups=25, schemes=6, decades=6.0, budgets=1):
    """Losses that fall fourfold a bit, sizes as layers have them, limits 5 to 80 % of the way."""
    draw = np.random.default_rng(seed)
    bits = np.linspace(2, 8, schemes)
    heights = 10.0 ** draw.uniform(-decades, 0, groups)
    losses = tuple(height * 4.0**-bits * np.exp(draw.normal(0, 0.3, schemes))
                   for height in heights)
    costs = tuple(tuple(np.rint(size * (bits + (metric > 0) * draw.uniform(0, 2, schemes)))
                        for size in draw.integers(1, 64, groups)) for metric in range(budgets))
    open_problem = Problem(losses=losses, costs=costs, limits=(np.inf,) * budgets,
                           metrics=tuple(f"metric{m}" for m in range(budgets)))
    for metric in range(budgets):
        floor, ceiling = open_problem.floor(metric), open_problem.ceiling(metric)
        open_problem = open_problem.limited(
            metric, float(np.floor(floor + draw.uniform(0.05, 0.8) * (ceiling - floor))))
    return open_problem


@pytest.fixture(scope="session")
def problems():
    return _problems


@pytest.fixture(scope="session")
def brute_force():
    return _brute_force


@pytest.fixture(scope="session")
def dynamic_program():
    return _program


@pytest.fixture(scope="session")
def model_like():
    return _model_like


def _coupled_problem(seed, *, sizes=None, pairs=True, factor=None, decades=4.0, whole=False):
    """A few groups, one or two budgets (or none), pairs of which some forbid, perhaps a factor."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 5, draw.integers(2, 6)) if sizes is None else np.array(sizes)
    budgets = int(draw.integers(0, 3))

    def values(shape):
        if whole:
            return draw.integers(0, 3, shape).astype(float)
        return draw.choice([-1, 1, 1], shape) * 10.0 ** draw.uniform(-decades, 0, shape)

    unit = draw.choice([1.0, 0.1])
    costs = tuple(tuple(draw.integers(1, 50, size) * unit for size in sizes)
                  for _ in range(budgets))
    target = [int(draw.integers(size)) for size in sizes]
    limits = tuple(math.fsum(float(row[k]) for row, k in zip(rows, target, strict=True))
                   for rows in costs)
    tables = []
    for i, j in itertools.combinations(range(len(sizes)), 2):
        if pairs and (draw.random() < 0.5 or (i, j) == (0, 1)):
            table = values((sizes[i], sizes[j])) * (draw.random() < 0.8) + 0.0
            table[draw.random(table.shape) < 0.2] = np.inf
            table[target[i], target[j]] = 1.0
            tables.append(Pair(first=j, second=i, values=table.T))
    with_factor = draw.random() < 0.3 if factor is None else factor
    return Problem(losses=tuple(map(values, sizes)), costs=costs, limits=limits,
                   metrics=tuple(f"metric{m}" for m in range(budgets)), pairs=tuple(tables),
                   factor=values((2, sizes.sum())) if with_factor else None)


@pytest.fixture(scope="session")
def coupled_problem():
    return _coupled_problem


@pytest.fixture(scope="session")
def check():
    return _check


@pytest.fixture(scope="session")
def check_undominated():
    return _check_undominated


@pytest.fixture(scope="session")
def against_brute_force():
    return _against_brute_force


@pytest.fixture(scope="session")
def least_of():
    return _brute_force
