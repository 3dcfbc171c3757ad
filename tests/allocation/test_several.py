"""Two and three budgets: the search around the relaxation, part by part and as a whole."""

import itertools
import math
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from mpsearch.allocation.hull import Hull
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.knapsack import branching, meeting, nearby
from mpsearch.allocation.knapsack.branching import Search
from mpsearch.allocation.knapsack.master import Master
from mpsearch.allocation.knapsack.prices import priced
from mpsearch.allocation.knapsack.several import left, searched
from mpsearch.allocation.knapsack.space import Space
from mpsearch.allocation.knapsack.table import Table
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import Infeasible

pytestmark = pytest.mark.filterwarnings("error")
LOOPS = [meeting, *([import_module("mpsearch.allocation.knapsack.meeting_compiled")]
                    if find_spec("numba") else [])]


@st.composite
def extremes(draw, most=5):
    """Ties, whole numbers up to 1e15, losses over hundreds of decades, tight limits, short menus.

    Where a group has fewer schemes, its losses are infinite.
    """
    groups, schemes, budgets = (draw(st.integers(1, most)), draw(st.integers(1, 4)),
                                draw(st.integers(2, 3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (groups, schemes)
    losses = {"ties": lambda: random.integers(0, 4, shape).astype(float),
              "decades": lambda: 10.0 ** random.uniform(-6, 0, shape),
              "far": lambda: 10.0 ** random.integers(-140, 140, shape),
              "tiny": lambda: 10.0 ** random.integers(-300, -280, shape),
              "zero": lambda: np.zeros(shape),
              "signed": lambda: random.normal(size=shape)}[draw(st.sampled_from(
                  ["ties", "decades", "far", "tiny", "zero", "signed"]))]()
    shape = (budgets, *shape)
    costs = {"ties": lambda: random.integers(0, 4, shape).astype(float),
             "huge": lambda: random.integers(0, 10**15, shape).astype(float),
             "fractions": lambda: random.uniform(0, 1, shape),
             "signed": lambda: random.integers(-5, 6, shape).astype(float),
             "sparse": lambda: random.integers(0, 2, shape) * random.integers(0, 2, shape) * 7.0,
             "steps": lambda: random.integers(0, 9, shape) * 256.0}[draw(st.sampled_from(
                 ["ties", "huge", "fractions", "signed", "sparse", "steps"]))]()
    sizes = random.integers(1, schemes, groups, endpoint=True) if draw(st.booleans()) else (
        np.full(groups, schemes))
    beyond = np.arange(schemes) >= sizes[:, None]
    losses[beyond], costs[:, beyond] = np.inf, 0.0
    pick = random.integers(0, sizes)
    limits = [math.fsum(table[np.arange(groups), pick]) + draw(st.sampled_from([0.0, 0.0, 0.7]))
              for table in costs]
    if draw(st.booleans()):
        limits[0] = math.nextafter(limits[0], -math.inf)
    return losses, costs, limits


def problem_of(losses, costs, limits):
    there = np.isfinite(losses)
    rows = [tuple(row[own] for row, own in zip(table, there, strict=True))
            for table in (losses, *costs)]
    return Problem(losses=rows[0], costs=tuple(rows[1:]), limits=tuple(limits),
                   metrics=tuple(f"cost{m}" for m in range(len(limits))))


def least_excess(losses, costs, limits):
    """By looking at every choice; infinite if none keeps to the limits."""
    rows, best = np.arange(len(losses)), math.inf
    for choice in itertools.product(range(losses.shape[1]), repeat=len(losses)):
        if all(math.fsum(table[rows, choice]) <= limit
               for table, limit in zip(costs, limits, strict=True)):
            best = min(best, math.fsum(losses[rows, choice] - losses.min(axis=1)))
    return best


def networks(groups, schemes, seed, *, sigma=0.0, fractions=False):
    """Sizes and latencies as layers have them, limits at 40 and 45 %."""
    draw = np.random.default_rng(seed)
    bits = 2 + 0.5 * np.arange(schemes)
    height = 10.0 ** draw.uniform(-4, 0, groups)[:, None]
    losses = height * 4.0**-bits * np.exp(draw.normal(0, 0.3, (groups, schemes)))
    sizes = draw.integers(1, 64, groups)[:, None] * 1024.0
    if sigma:
        sizes = np.rint(np.exp(draw.normal(10, sigma, groups)))[:, None] + 1
        losses = losses * sizes
    first = sizes * bits * (np.exp(draw.normal(0, 0.05, losses.shape)) if fractions else 1)
    second = np.rint(draw.integers(1, 64, groups)[:, None] * 1000.0 * (
        bits + draw.uniform(0, 2, losses.shape)))
    costs = np.stack([first, second])
    low, high = costs.min(axis=2).sum(axis=1), costs.max(axis=2).sum(axis=1)
    return losses, costs, list(np.floor(low + np.array([0.4, 0.45]) * (high - low)))


def check_proof(tables, room):
    """Bounds and choices of the search, with both loops, against a look at every choice."""
    table, least = Table.of(*tables), least_excess(*tables)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = [Search(Space.of(table), room, 1e6, loops).run() for loops in LOOPS]
    for each in found:
        low, excess = (math.ldexp(value, -table.exponents[0]) if value < math.inf else value
                       for value in (each.low, each.excess))
        assert low <= least * (1 + 1e-12)
        assert excess >= least * (1 - 1e-12)
        assert each.low <= each.excess
        assert (each.low, each.excess) == (found[0].low, found[0].excess)
        if each.pick is not None:
            assert problem_of(*tables).meets(each.pick)
            assert each.pick.tolist() == found[0].pick.tolist()
            kept = left(table, each)
            assert kept.expand([0] * len(kept.problem.losses)).shape == each.pick.shape
    return found[0]


@settings(max_examples=120)
@given(tables=extremes())
def test_the_bound_holds_and_both_loops_agree(tables):
    check_proof(tables, 1 << 12)


def test_the_bound_holds_where_few_choices_are_looked_at_before_a_split(monkeypatch):
    """The sizes of real problems, brought down to where all choices can be counted."""
    monkeypatch.setattr(branching, "_LEVELS", tuple(range(1, 11)))
    monkeypatch.setattr(branching, "_FEW", 0)
    monkeypatch.setattr(branching, "_ALMOST", 1.0)
    monkeypatch.setattr(nearby, "_MOST", 3)
    halves, splits, proofs = Search._halves, [], []

    def counted(*given):
        found = halves(*given)
        splits[-1] += len(found) > 1
        return found

    monkeypatch.setattr(Search, "_halves", counted)

    @settings(max_examples=150)
    @given(tables=extremes(most=6), pairs=st.sampled_from([1, 30, 1 << 22]),
           room=st.sampled_from([4, 16, 1 << 16]))
    def holds(tables, pairs, room):
        monkeypatch.setattr(branching, "_PAIRS", pairs)
        splits.append(0)
        found = check_proof(tables, room)
        if splits[-1]:
            proofs.append(found.low >= found.excess * (1 - 1e-9))

    holds()
    assert len(proofs) >= 40, "too few examples were split to say anything"
    assert max(splits) >= 10, "no example was split again and again"
    assert sum(proofs) >= len(proofs) / 2, "a search that proves nothing has bounds that hold"


@settings(max_examples=100)
@given(tables=extremes(most=4))
def test_hull_equals_brute_force(tables, against_brute_force):
    problem = problem_of(*tables)
    for selection, least in against_brute_force(Hull(), problem):
        assert selection.bound <= least + 1e-12 * abs(least)
        if selection.status == "optimal":
            unavoidable = math.fsum(row.min() for row in problem.losses)
            assert selection.objective - least <= 1e-9 * (least - unavoidable) + 1e-13 * abs(least)


@pytest.mark.parametrize("budgets", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_it_proves_what_the_integer_program_finds(model_like, seed, budgets):
    problem = model_like(seed, groups=60, schemes=6, decades=3.0, budgets=budgets)
    selection, known = Hull()(problem), Ilp()(problem)
    assert selection.status == "optimal"
    assert not selection.note
    assert selection.objective == pytest.approx(known.objective, rel=1e-9)


@pytest.mark.parametrize(("sigma", "fractions"), [(0.0, False), (0.0, True), (1.5, False)])
def test_hundreds_of_groups_are_proven(sigma, fractions):
    tables = networks(560, 12, 0, sigma=sigma, fractions=fractions)
    problem = problem_of(*tables)
    selection = Hull(time_limit_s=0)(problem)
    assert selection.status == "optimal"
    assert not selection.note
    if sigma:  # the one that branches
        assert selection.objective == pytest.approx(Ilp()(problem).objective, rel=1e-9)


def test_a_large_problem_has_the_objective_of_the_integer_program():
    problem = problem_of(*networks(560, 20, 1))
    selection, known = Hull(time_limit_s=0)(problem), Ilp()(problem)
    assert selection.status == "optimal"
    assert selection.objective == pytest.approx(known.objective, rel=1e-9)
    assert selection.bound == pytest.approx(selection.objective, rel=1e-9)


@pytest.mark.parametrize("fractions", [False, True])
def test_prices_are_those_of_the_linear_relaxation(fractions):
    losses, costs, limits = networks(80, 6, 3, fractions=fractions)
    found = priced(Space.of(Table.of(losses, costs, np.array(limits) + 0.25)))
    groups = np.repeat(np.eye(len(losses)), losses.shape[1], axis=1)
    shifted = losses - losses.min(axis=1)[:, None]
    known = linprog(shifted.ravel(), costs.reshape(2, -1), limits, groups, np.ones(len(losses)))
    assert found.low <= known.fun * (1 + 1e-9)
    assert found.low == pytest.approx(known.fun, rel=1e-4)  # limits are lowered, if costs are whole
    if fractions:
        assert found.low == pytest.approx(known.fun, rel=1e-6)
    parts = Space.of(Table.of(losses, costs, limits)).split(0, np.arange(6) < 3)
    assert min(priced(part, found, [np.where(np.arange(80) == 0, side * 3, pick) for pick in
                                    found.near]).low for side, part in enumerate(parts)
               ) >= found.low * (1 - 1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_the_summit_is_that_of_a_linear_program(seed):
    draw = np.random.default_rng(seed)
    values, slopes = draw.uniform(0, 1, 12), draw.normal(size=(12, 3))
    master = Master(3, 10.0)
    for value, slope in zip(values, slopes, strict=True):
        master.add(value, slope)
    prices, height = master.summit()
    known = linprog([-1, 0, 0, 0], np.column_stack([np.ones(12), -slopes]), values,
                    bounds=[(None, None), *[(0, 10)] * 3])
    assert height == pytest.approx(-known.fun)
    assert (values + slopes @ prices).min() == pytest.approx(height)


def test_a_space_within_spaces_is_rounded_once():
    """Its value is as exact after hundreds of splits as after one."""
    losses, costs, limits = networks(600, 3, 5)
    root = space = Space.of(Table.of(losses, costs, limits))
    pick = np.random.default_rng(0).integers(0, 3, 600)
    for count in range(599, 0, -1):
        space = space.only(np.arange(count), np.ones((count, 3), dtype=bool), pick[:count + 1])
        decided = np.arange(count, 600)
        assert space.value == math.fsum(root.losses[decided, pick[decided]])


def test_planes_that_rounding_makes_one_end_the_climb(monkeypatch):
    """What was bounded until then stands; nothing is asked for at a made-up summit."""
    losses, costs, limits = networks(12, 4, 3)
    space, summit, asked = Space.of(Table.of(losses, costs, limits)), Master.summit, []
    whole = priced(space)

    def singular(_matrix):
        raise np.linalg.LinAlgError

    def cut(master):
        asked.append(1)
        if len(asked) == 3:
            monkeypatch.setattr(np.linalg, "inv", singular)
        return summit(master)

    monkeypatch.setattr(Master, "summit", cut)
    found = priced(space)
    assert len(asked) == 3
    assert 0 < found.low < whole.low


def test_limits_are_lowered_to_what_costs_can_add_up_to():
    losses = np.array([[0.0, 1.0], [0.0, 1.0]])
    costs = np.array([[[8.0, 4.0], [12.0, 4.0]], [[0.5, 0.0], [3.0, 1.0]]])
    space = Space.of(Table.of(losses, costs, [15.0, 2.75]))
    assert space.steps.tolist() == [4.0, 0.0]
    assert space.rests(np.array([1, 1])).tolist() == [4.0, pytest.approx(1.75)]
    assert space.over.tolist() == [8.0, pytest.approx(0.75)]


def test_what_the_search_leaves_open_is_no_proof(monkeypatch):
    losses, costs, limits = networks(60, 6, 2, sigma=2.5)
    table = Table.of(losses, costs, limits)
    whole, short = searched(table), searched(table, 1e-4)
    assert whole.low >= whole.excess * (1 - 1e-9)
    assert short.low < whole.excess < math.inf
    monkeypatch.setattr("mpsearch.allocation.hull._SHARE", 1e-4)
    handed = Hull()(problem_of(losses, costs, limits))
    assert "integer program" in handed.note
    assert handed.objective == pytest.approx(Hull()(problem_of(
        losses, costs, limits)).objective, rel=1e-9)


def test_nothing_left_open_is_a_problem_too():
    table = Table.of(np.zeros((2, 1)), np.zeros((2, 2, 1)), [0.0, 0.0])
    kept = left(table, searched(table))
    assert kept.expand([0]).tolist() == [0, 0]


def test_limits_that_exclude_each_other_are_told():
    losses, costs, limits = networks(300, 8, 4)
    costs[1] = costs[0].max(axis=1)[:, None] - costs[0]
    limits[1] = float(costs[1].max(axis=1).sum() - limits[0]) - 1024 * 600
    with pytest.raises(Infeasible, match="together"):
        Hull()(problem_of(losses, costs, limits))


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 60), width=st.sampled_from([0.3, 3, np.inf]))
def test_meeting_finds_the_least_pair_in_the_box(seed, size, width):
    draw = np.random.default_rng(seed)
    first, second = (draw.integers(-9, 9, (3, n)) / 2 for n in (size, size + 3))
    box = np.array([[-1.0, -2.0], [0.5, 0.0], [0.75, 0.25]])
    low, widths = second[1:].min(axis=1), np.full(2, max(width, 2.5))
    cells = low, widths, np.floor((second[1:].max(axis=1) - low) / widths).astype(np.int64) + 1
    sums = first[:, :, None] + second[:, None, :]
    inside = ((sums[1:] >= box[0][:, None, None]) & (sums[1:] <= box[1][:, None, None])).all(axis=0)
    least = np.where(inside, sums[0], np.inf).min()
    found = [loops.meet(first, second, (box, cells), 100.0, 10**9) for loops in LOOPS]
    assert all(each == found[0] for each in found)
    loss, a, b, seen = found[0]
    assert loss == min(least, 100.0)
    assert seen <= size * (size + 3)
    if a >= 0:
        assert inside[a, b]
        assert sums[0, a, b] == least
    assert LOOPS[0].meet(first, second, (box, cells), 100.0, seen - 1)[1] == -1


@pytest.mark.parametrize("end", [np.nextafter(3, 0), 3.0, np.nextafter(3, 4)])
def test_a_state_at_the_edge_of_the_last_cell_is_found(end):
    second = np.array([[0.0, -1.0], [0.0, end], [0.0, end]])
    cells = np.zeros(2), np.ones(2), np.floor(second[1:, 1]).astype(np.int64) + 1
    box = np.array([[end - 0.5, end - 0.5], [end, end], [end + 0.25, end + 0.25]])
    for loops in LOOPS:
        assert loops.meet(np.zeros((3, 1)), second, (box, cells), 0.0, 100) == (-1.0, 0, 1, 1)
