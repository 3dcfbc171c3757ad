"""Greedy, water-filling and learned choices: within the limits, honest bounds, published orders."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mpsearch.allocation.dynamic import Dynamic
from mpsearch.allocation.greedy import Greedy
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.relaxed import Relaxed
from mpsearch.allocation.waterfill import Waterfill, law, levels

pytestmark = pytest.mark.filterwarnings("error")
BASELINES = [Greedy(), Greedy(order="list"), Waterfill(), Relaxed(steps=30)]


def problem_of(losses, costs, limit):
    return Problem(losses=tuple(np.array(row, dtype=float) for row in losses), metrics=("size",),
                   costs=(tuple(np.array(row, dtype=float) for row in costs),), limits=(limit,))


@pytest.mark.parametrize("allocator", BASELINES, ids=str)
@settings(max_examples=40)
@given(data=st.data())
def test_they_find_a_choice_wherever_there_is_one(allocator, problems, against_brute_force, data):
    problem = data.draw(problems(groups=5))
    for selection, least in against_brute_force(allocator, problem):
        assert selection.bound <= least <= selection.objective
        if selection.status == "optimal":
            assert selection.objective == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize(("allocator", "worst"), [
    (Greedy(), 1.2), (Greedy(order="list"), 1.5), (Waterfill(), 1.2), (Relaxed(), 1.2)], ids=str)
def test_they_come_near_the_optimum_of_a_model_like_problem(model_like, allocator, worst):
    ratios = []
    for seed in range(4):
        problem = model_like(seed, groups=20)
        ratios.append(allocator(problem).objective / Dynamic()(problem).objective)
    assert 1 <= min(ratios) <= max(ratios) < worst


def test_what_the_relaxation_proves_is_called_optimal():
    selection = Greedy()(problem_of([[9, 1], [4, 0]], [[1, 2], [1, 2]], 3.0))
    assert (selection.choice, selection.status) == ((1, 0), "optimal")


def test_one_order_weighs_savings_and_the_other_does_not():
    # From (1, 1), the first group saves 10 for a loss of 3, the second 2 for a loss of 2.
    problem = problem_of([[3, 0], [2, 0]], [[0, 10], [0, 2]], 10.0)
    assert Greedy(order="ratio")(problem).choice == (0, 1)
    assert Greedy(order="list")(problem).choice == (1, 0)


def test_the_list_stops_at_the_first_choice_within_the_limit():
    problem = problem_of([[5, 2, 0], [6, 3, 0]], [[0, 4, 8], [0, 4, 8]], 8.0)
    # By rising loss: 2 (first group), 3 (second group); then the limit is met.
    assert Greedy(order="list")(problem).choice == (1, 1)


def test_limits_that_hinder_each_other_need_the_program():
    draw = np.random.default_rng(5)
    for _ in range(20):
        costs = draw.integers(0, 20, (3, 8, 3)).astype(float)
        target = draw.integers(0, 3, 8)
        limits = tuple(float(table[np.arange(8), target].sum()) for table in costs)
        problem = Problem(losses=tuple(draw.uniform(0, 1, (8, 3))), limits=limits,
                          costs=tuple(map(tuple, costs)), metrics=("a", "b", "c"))
        for allocator in (Greedy(), Greedy(order="list"), Waterfill()):
            selection = allocator(problem)
            assert problem.meets(selection.choice)
            assert selection.bound <= Dynamic()(problem).objective


def test_an_exponential_law_is_found_again():
    costs = np.array([2.0, 3.0, 4.0, 8.0])
    log_a, b = law(costs, 7 * 4.0 ** -costs)
    assert (log_a, b) == (pytest.approx(np.log(7)), pytest.approx(2 * np.log(2)))
    assert law(costs, np.array([1.0, 2.0, 3.0, 4.0]))[1] == 0
    assert law(np.ones(2), np.array([1.0, 2.0]))[1] == 0


@pytest.mark.parametrize("seed", range(10))
def test_the_water_level_is_the_continuous_optimum(seed):
    draw = np.random.default_rng(seed)
    log_a, b = draw.uniform(-4, 4, 7), draw.uniform(0.2, 3, 7)
    low = draw.uniform(0, 2, 7)
    high = low + draw.uniform(0.5, 6, 7)
    room = float(low.sum() + draw.uniform(0.1, 0.9) * (high - low).sum())
    cost = levels(log_a, b, low, high, room)
    assert cost.sum() == pytest.approx(room)
    slopes = log_a + np.log(b) - b * cost
    inside = (cost > low + 1e-9) & (cost < high - 1e-9)
    level = slopes[inside].mean()
    assert slopes[inside] == pytest.approx(level)
    assert (slopes[cost <= low + 1e-9] <= level + 1e-9).all()
    assert (slopes[cost >= high - 1e-9] >= level - 1e-9).all()


def test_a_solver_finds_nothing_better_than_the_water_level():
    log_a, b = np.log([8.0, 1.0, 0.01]), np.array([1.4, 0.7, 1.4])
    low, high = np.full(3, 2.0), np.full(3, 8.0)
    found = minimize(lambda c: np.exp(log_a - b * c).sum(), np.full(3, 4.0), tol=1e-12,
                     bounds=list(zip(low, high, strict=True)),
                     constraints={"type": "ineq", "fun": lambda c: 12.0 - c.sum()})
    assert levels(log_a, b, low, high, 12.0) == pytest.approx(found.x, abs=1e-3)


def test_equal_sizes_give_the_textbook_rates():
    # Half a bit for every factor of two in a, around the mean rate (Cover and Thomas, 10.3.3).
    a = np.array([1.0, 4.0, 16.0, 64.0])
    rates = levels(np.log(a), np.full(4, 2 * np.log(2)), np.zeros(4), np.full(4, 16.0), 16.0)
    assert rates == pytest.approx([2.5, 3.5, 4.5, 5.5])


def test_room_beyond_either_end_gives_that_end():
    log_a, b, low, high = np.zeros(2), np.ones(2), np.array([1.0, 2.0]), np.array([3.0, 5.0])
    assert levels(log_a, b, low, high, 0.0).tolist() == [1.0, 2.0]
    assert levels(log_a, b, low, high, 99.0) == pytest.approx([3.0, 5.0])
    assert levels(log_a, np.zeros(2), low, high, 99.0).tolist() == [1.0, 2.0]


def test_before_the_first_step_the_seed_decides():
    problem = problem_of([[1, 0]] * 4, [[0, 1]] * 4, 3.0)
    assert len({Relaxed(steps=0, seed=seed)(problem).choice for seed in range(8)}) > 1
    assert {Relaxed(seed=seed)(problem).objective for seed in range(8)} == {1.0}


@pytest.mark.parametrize("allocator", BASELINES, ids=str)
def test_the_scale_of_losses_does_not_matter(model_like, allocator):
    problem = model_like(3, groups=12)
    choices = {allocator(Problem(losses=tuple(row * 2.0**power for row in problem.losses),
                                 costs=problem.costs, limits=problem.limits,
                                 metrics=problem.metrics)).choice
               for power in (-40, 0, 20)}
    assert len(choices) == 1


def test_a_repeated_call_is_the_same(model_like):
    for allocator, seed in itertools.product(BASELINES, range(2)):
        problem = model_like(seed, groups=10, budgets=2)
        assert allocator(problem) == allocator(problem)
