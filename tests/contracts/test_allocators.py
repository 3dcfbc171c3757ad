"""What every allocator promises: a choice within the limits, and a bound that holds."""

import itertools
import math

import numpy as np
import pytest

from mpsearch.allocation.problem import Problem
from mpsearch.core import io
from mpsearch.core.errors import Infeasible, Unsupported
from mpsearch.plugins import load, names

SEEDS = range(6)
EXACT = [name for name in ("coupled", "dynamic", "hull", "ilp") if name in names("allocator")]
PROOF = 1e-9


def problem_of(seed):
    """Five groups of one to four candidates, one to three budgets."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 5, 5)
    budgets = 1 + seed % 3
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


def answer(allocator, problem):
    """The selection; what an allocator says it cannot do is not held against it."""
    try:
        return allocator(problem)
    except Unsupported as refusal:
        pytest.skip(f"not supported: {refusal}")


def least_of(problem):
    """By looking at every choice."""
    choices = itertools.product(*(range(row.size) for row in problem.losses))
    return min(problem.objective(choice) for choice in choices if problem.meets(choice))


def check(problem, selection):
    """What a selection says of itself, and whether it is true."""
    assert problem.meets(selection.choice)
    assert selection.objective == problem.objective(selection.choice)
    assert selection.costs == problem.spent(selection.choice)
    least = least_of(problem)
    assert selection.bound <= least <= selection.objective
    unavoidable = math.fsum(float(row.min()) for row in problem.losses)
    met = selection.objective - selection.bound <= PROOF * (selection.objective - unavoidable) + (
        PROOF * abs(selection.objective))
    assert met or selection.status == "feasible"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_choice_exists_and_keeps_to_the_limits(allocator, seed):
    problem = problem_of(seed)
    selection = answer(allocator, problem)
    check(problem, selection)
    assert all(0 <= k < row.size
               for k, row in zip(selection.choice, problem.losses, strict=True))
    assert all(type(k) is int for k in selection.choice)


@pytest.mark.parametrize("seed", SEEDS)
def test_optimal_is_said_only_of_the_best(allocator, seed):
    problem = problem_of(seed)
    selection = answer(allocator, problem)
    if selection.status == "optimal":
        assert selection.objective == pytest.approx(least_of(problem), rel=PROOF)


def test_the_same_problem_gives_the_same_bytes(allocator):
    first, second = (io.dumps(answer(allocator, problem_of(1))) for _ in range(2))
    assert first == second


def test_an_impossible_limit_is_named_with_its_floor(allocator):
    problem = problem_of(0)
    floor = problem.floor(0)
    with pytest.raises(Infeasible, match=rf"metric0.*{floor:g}"):
        allocator(problem.limited(0, floor - 1))


def test_limits_that_exclude_each_other_are_named(allocator):
    costs = ((np.array([0.0, 2.0]),) * 3, (np.array([2.0, 0.0]),) * 3)
    problem = Problem(losses=(np.array([1.0, 2.0]),) * 3, costs=costs, limits=(2.0, 2.0),
                      metrics=("size", "bops"))
    with pytest.raises(Infeasible, match=r"size .*bops "):
        answer(allocator, problem)


HUGE = 10.0**15
EDGES = {
    "ties": ([[1, 1], [1, 1]], [[2, 1], [2, 1]], 3.0),
    "duplicates": ([[4, 4, 1, 1]] * 3, [[1, 1, 5, 5]] * 3, 8.0),
    "equal slopes": ([[2, 1, 0]] * 4, [[0, 1, 2]] * 4, 5.0),
    "zero losses": ([[0, 0], [0, 0]], [[1, 2], [1, 2]], 3.0),
    "zero costs": ([[3, 1], [1, 3]], [[0, 0], [0, 0]], 0.0),
    "one candidate": ([[2], [3]], [[1], [1]], 2.0),
    "one group": ([[5, 3, 1]], [[1, 2, 3]], 2.0),
    "no limit that binds": ([[3, 1], [1, 3]], [[0, 5], [0, 5]], math.inf),
    "at the floor": ([[3, 1], [3, 1]], [[1, 5], [2, 5]], 3.0),
    "negative losses": ([[-1, -9], [-2, -3]], [[0, 5], [0, 5]], 5.0),
    "negative costs": ([[5, 1], [5, 2]], [[-4, -1], [-4, -1]], -5.0),
    "dearer is worse": ([[1, 2], [5, 3]], [[1, 9], [1, 2]], 4.0),
    "huge integers": ([[3, 2, 1]] * 3, [[HUGE, HUGE + 1, 3 * HUGE + 1]] * 3, 5 * HUGE + 2),
    "fractions": ([[3, 2], [3, 1]], [[0.1, 0.2], [0.1, 0.3]], 0.4),
    "tiny losses": ([[3e-12, 1e-12], [5e3, 1e3]], [[1, 2], [1, 2]], 3.0),
    "300 decades": ([[1e-150, 1e-300], [1e150, 1e-10]], [[1, 2], [1, 2]], 3.0),
}


@pytest.mark.parametrize(("losses", "costs", "limit"), EDGES.values(), ids=EDGES)
@pytest.mark.filterwarnings("error")
def test_edges(allocator, losses, costs, limit):
    problem = Problem(losses=tuple(map(np.array, losses)), costs=(tuple(map(np.array, costs)),),
                      limits=(limit,), metrics=("size",))
    check(problem, answer(allocator, problem))


def test_without_budgets_every_group_takes_its_least_loss(allocator):
    problem = Problem(losses=(np.array([2.0, 1.0]), np.array([0.0, 5.0])))
    selection = answer(allocator, problem)
    assert (selection.choice, selection.status, selection.costs) == ((1, 0), "optimal", ())


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("power", [-18, -9, 3, 12])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_scale_of_losses_does_not_change_an_exact_choice(name, seed, power):
    problem = problem_of(seed)
    scaled = Problem(losses=tuple(row * 10.0**power for row in problem.losses),
                     costs=problem.costs, limits=problem.limits, metrics=problem.metrics)
    allocator = load("allocator", name)()
    assert answer(allocator, scaled).choice == answer(allocator, problem).choice


@pytest.mark.parametrize("seed", SEEDS)
def test_a_larger_budget_is_no_worse_where_answers_are_optimal(allocator, seed):
    problem = problem_of(seed)
    limits = np.linspace(problem.limits[0], problem.ceiling(0), 4)
    found = [answer(allocator, problem.limited(0, float(limit))) for limit in limits]
    optimal = [each.objective for each in found if each.status == "optimal"]
    assert all(after <= before * (1 + PROOF) for before, after in itertools.pairwise(optimal))
    assert all(larger.bound <= smaller.objective for smaller, larger in itertools.pairwise(found))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_groups_does_not_matter_where_answers_are_optimal(allocator, seed):
    problem = problem_of(seed)
    order = np.random.default_rng(seed).permutation(len(problem.losses))

    def shuffled(rows):
        return tuple(rows[group] for group in order)

    other = Problem(losses=shuffled(problem.losses), limits=problem.limits,
                    costs=tuple(map(shuffled, problem.costs)), metrics=problem.metrics)
    one, two = answer(allocator, problem), answer(allocator, other)
    check(other, two)
    if one.status == two.status == "optimal":
        assert one.objective == pytest.approx(two.objective, rel=PROOF)
