"""The allocator against referees: never over a limit, never above the least loss."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.limits import BelowFloor, Conflict
from mpsearch.allocation.problem import Problem

pytestmark = pytest.mark.filterwarnings("error")


@settings(max_examples=120)
@given(data=st.data())
def test_it_equals_brute_force(problems, against_brute_force, data):
    problem = data.draw(problems())
    for selection, least in against_brute_force(Ilp(), problem):
        assert selection.status == "optimal"
        assert selection.objective == pytest.approx(least, rel=1e-14, abs=0)


@settings(max_examples=50)
@given(data=st.data())
def test_the_solver_alone_equals_brute_force(problems, against_brute_force, data):
    problem = data.draw(problems(budgets=(1, 3)))
    for selection, least in against_brute_force(Ilp(expansions=0), problem):
        assert selection.bound <= least + 1e-14 * abs(least)
        assert selection.objective == pytest.approx(least, rel=1e-9, abs=0)


@pytest.mark.parametrize("decades", [1, 6, 9, 12])
@pytest.mark.parametrize("seed", range(8))
def test_it_equals_the_dynamic_program(model_like, dynamic_program, seed, decades, check):
    problem = model_like(seed, groups=25, decades=float(decades))
    selection = Ilp()(problem)
    check(problem, selection)
    assert selection.status == "optimal"
    assert selection.objective == pytest.approx(dynamic_program(problem), rel=1e-12)


@pytest.mark.parametrize("decades", [6, 9])
@pytest.mark.parametrize("seed", range(6))
def test_losses_that_span_decades_within_a_group(dynamic_program, seed, decades, check):
    draw = np.random.default_rng(seed)
    losses = tuple(10.0 ** -np.sort(draw.uniform(0, decades, 6)) for _ in range(25))
    costs = tuple(np.sort(draw.integers(1, 200, 6)).astype(float) for _ in range(25))
    limit = float(sum(row[1] for row in costs))
    problem = Problem(losses=losses, costs=(costs,), limits=(limit,), metrics=("size",))
    for allocator in (Ilp(), Ilp(expansions=0)):
        selection = allocator(problem)
        check(problem, selection)
        assert selection.objective == pytest.approx(dynamic_program(problem), rel=1e-9)


def test_losses_equal_to_costs_are_settled(dynamic_program, check):
    draw = np.random.default_rng(0)
    costs = tuple(np.sort(draw.integers(1, 300, 5) * 2).astype(float) for _ in range(20))
    problem = Problem(losses=tuple(1000 - row for row in costs), costs=(costs,),
                      limits=(float(sum(row[2] for row in costs)) + 1,), metrics=("size",))
    selection = Ilp()(problem)
    check(problem, selection)
    assert selection.objective == dynamic_program(problem)


@pytest.mark.parametrize("budgets", [2, 3])
def test_the_sweep_and_the_solver_agree_on_several_budgets(model_like, budgets, check):
    problem = model_like(11, groups=30, schemes=4, decades=2.0, budgets=budgets)
    swept, solved = Ilp()(problem), Ilp(expansions=0)(problem)
    check(problem, swept)
    check(problem, solved)
    assert swept.status == "optimal"
    assert swept.objective == solved.objective
    assert solved.bound >= swept.bound * (1 - 1e-5)


def test_a_limit_below_its_floor_is_named(model_like):
    problem = model_like(0)
    with pytest.raises(BelowFloor, match="metric0 within 3: the least possible is") as caught:
        Ilp()(problem.limited(0, 3.0))
    assert (caught.value.metric, caught.value.limit) == ("metric0", 3.0)
    assert caught.value.floor == problem.floor(0)
    assert Ilp()(problem.limited(0, problem.floor(0))).costs == (problem.floor(0),)


def test_limits_that_exclude_each_other_are_said_to(brute_force):
    costs = ((np.array([0.0, 2.0]),) * 3, (np.array([2.0, 0.0]),) * 3)
    problem = Problem(losses=(np.array([1.0, 2.0]),) * 3, costs=costs, limits=(2.0, 2.0),
                      metrics=("size", "bops"))
    assert brute_force(problem) is None
    for allocator in (Ilp(), Ilp(expansions=0)):
        with pytest.raises(Conflict, match="size within 2 and bops within 2 together, though"):
            allocator(problem)
    assert Ilp()(problem.limited(1, 4.0)).choice.count(0) == 2


EDGES = {
    "one group": ([[2, 1]], [[1, 2]], 1.0, (0,)),
    "one candidate each": ([[2], [3]], [[1], [1]], 2.0, (0, 0)),
    "equal losses": ([[1, 1], [1, 1]], [[2, 1], [2, 1]], 2.0, (1, 1)),
    "no losses": ([[0, 0], [0, 0]], [[1, 2], [1, 2]], 3.0, (0, 0)),
    "no costs": ([[3, 1], [1, 3]], [[0, 0], [0, 0]], 0.0, (1, 0)),
    "negative losses": ([[-1, -9], [-2, -3]], [[0, 5], [0, 5]], 5.0, (1, 0)),
    "negative costs": ([[5, 1], [5, 2]], [[-4, -1], [-4, -1]], -5.0, (1, 0)),
    "endless limit": ([[3, 1], [1, 3]], [[0, 5], [0, 5]], math.inf, (1, 0)),
    "ragged": ([[4], [6, 5, 1], [2, 0]], [[1], [1, 2, 4], [1, 3]], 6.0, (0, 2, 0)),
}


@pytest.mark.parametrize("expansions", [0, 1000])
@pytest.mark.parametrize(("losses", "costs", "limit", "choice"), EDGES.values(), ids=EDGES)
def test_edges(losses, costs, limit, choice, expansions, check):
    problem = Problem(losses=tuple(map(np.array, losses)), costs=(tuple(map(np.array, costs)),),
                      limits=(limit,), metrics=("size",))
    selection = Ilp(expansions=expansions)(problem)
    check(problem, selection)
    assert (selection.choice, selection.status) == (choice, "optimal")


def test_without_budgets_every_group_takes_its_least_loss():
    selection = Ilp()(Problem(losses=(np.array([2.0, 1.0]), np.array([0.0, 5.0]))))
    assert selection.choice == (1, 0)
    assert (selection.objective, selection.status, selection.costs) == (1.0, "optimal", ())


def hard():
    """Three budgets that pull apart, on a hundred groups of nearly the same worth."""
    draw = np.random.default_rng(0)
    costs = draw.integers(100, 1000, (3, 100, 5)).astype(float)
    losses = 4000 - costs.sum(axis=0) + draw.integers(0, 3, (100, 5))
    return Problem(losses=tuple(losses), costs=tuple(map(tuple, costs)), metrics=("a", "b", "c"),
                   limits=tuple(costs.mean(axis=2).sum(axis=1)))


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_run_out_of_time_is_not_called_optimal(seconds, check):
    problem = hard()
    selection = Ilp(time_limit_s=seconds, expansions=0)(problem)
    check(problem, selection)
    assert selection.status == "feasible"
    assert selection.bound < selection.objective


def test_one_more_swap_does_not_help_a_selection_out_of_time():
    problem = hard()
    selection = Ilp(time_limit_s=0.0, expansions=0)(problem)
    for group, k in itertools.product(range(100), range(5)):
        swapped = (*selection.choice[:group], k, *selection.choice[group + 1:])
        assert not problem.meets(swapped) or problem.objective(swapped) >= selection.objective
