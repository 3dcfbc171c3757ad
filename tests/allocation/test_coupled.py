"""Choices with interactions against brute force, and bounds that hold."""

import itertools
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation import coupled as module
from mpsearch.allocation.core import Core
from mpsearch.allocation.coupled import Coupled
from mpsearch.allocation.elimination import layout
from mpsearch.allocation.exchange import Landscape
from mpsearch.allocation.forbidden import Forbidden
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput, Unsupported

SEEDS = st.integers(0, 10**6)


def check(problem, selection, least):
    """What a selection says of itself, and of the *least* loss of all choices."""
    assert problem.meets(selection.choice)
    assert selection.objective == problem.objective(selection.choice)
    assert selection.costs == problem.spent(selection.choice)
    assert selection.bound <= least + 1e-14 * abs(least)
    if selection.status == "optimal":
        assert selection.objective == pytest.approx(least, rel=1e-8, abs=1e-13)


@settings(max_examples=80)
@given(seed=SEEDS)
def test_it_equals_brute_force(coupled_problem, least_of, seed):
    problem = coupled_problem(seed)
    selection = Coupled()(problem)
    check(problem, selection, least_of(problem))
    assert selection.status == "optimal"


@settings(max_examples=30)
@given(seed=SEEDS)
def test_a_dense_factor_with_and_without_pairs_is_bounded(coupled_problem, least_of, seed):
    problem = coupled_problem(seed, factor=True, pairs=bool(seed % 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_COMPLETE", 0)  # not as a table of all groups
        check(problem, Coupled()(problem), least_of(problem))


@settings(max_examples=25)
@given(seed=SEEDS)
def test_the_integer_program_equals_brute_force(coupled_problem, least_of, seed):
    problem = coupled_problem(seed, factor=False)
    least = least_of(problem)
    proven, alone = Ilp()(problem), Ilp(expansions=0)(problem)
    check(problem, proven, least)
    check(problem, alone, least)
    assert proven.status == "optimal"
    assert alone.objective == pytest.approx(least, rel=1e-8, abs=1e-12)


def blocks(seed, budgets=1, groups=13, block=4):
    """Losses that fall fourfold a bit, all pairs within a block and between neighbours."""
    draw = np.random.default_rng(seed)
    bits = np.array([2.0, 3.0, 4.0, 6.0])
    losses = [10.0 ** draw.uniform(-2, 0) * 4.0**-bits for _ in range(groups)]
    costs = tuple(tuple(np.rint(size * (bits + metric * draw.uniform(0, 2, 4)))
                        for size in draw.integers(1, 64, groups)) for metric in range(budgets))
    pairs = [Pair(first=i, second=j, values=np.sqrt(np.outer(losses[i], losses[j]))
                  * draw.normal(0, 0.5, (4, 4)))
             for i, j in itertools.combinations(range(groups), 2)
             if i // block == j // block or j == i + 1]
    limits = tuple(float(sum(np.median(row) for row in rows)) for rows in costs)
    return Problem(losses=tuple(losses), costs=costs, limits=limits, pairs=tuple(pairs),
                   metrics=tuple(f"metric{m}" for m in range(budgets)))


@pytest.mark.parametrize(("seed", "budgets"), [(0, 1), (1, 1), (2, 2)])
def test_blocks_agree_with_the_solver_and_beat_the_additive_choice(seed, budgets):
    problem = blocks(seed, budgets)
    selection, solved = Coupled()(problem), Ilp(expansions=0)(problem)
    assert selection.status == "optimal"
    assert solved.objective == pytest.approx(selection.objective, rel=1e-7)
    assert solved.bound <= selection.objective
    plain = Ilp()(replace(problem, pairs=()))
    assert problem.objective(plain.choice) > 1.02 * selection.objective


@pytest.mark.filterwarnings("ignore:PULP_CBC_CMD:DeprecationWarning")
def test_cbc_can_be_the_solver():
    pulp = pytest.importorskip("pulp")
    if not pulp.getSolver("PULP_CBC_CMD").available():
        pytest.skip("CBC is not installed")
    problem = blocks(0, groups=6)
    solved = Ilp(solver="PULP_CBC_CMD", expansions=0)(problem)
    assert solved.objective == pytest.approx(Coupled()(problem).objective, rel=1e-6)
    assert (solved.status, Ilp(solver="PULP_CBC_CMD")(problem).status) == ("feasible", "optimal")


def test_a_graph_too_wide_goes_to_the_integer_program(monkeypatch):
    problem = blocks(3, groups=9)
    exact = Coupled()(problem)
    monkeypatch.setattr(module, "_LARGEST", 10)
    assert Coupled()(problem).objective == exact.objective


def test_without_interactions_it_is_the_integer_program(model_like):
    problem = model_like(1, budgets=2)
    assert Coupled()(problem) == Ilp()(problem)
    factored = replace(problem, factor=np.ones((1, sum(problem.sizes))))
    assert Coupled(shrinkage=0.0)(factored) == Ilp()(problem)
    with pytest.raises(Unsupported, match="'ilp' takes no factor"):
        Ilp()(factored)
    with pytest.raises(BadInput, match="say 0 to 1"):
        Coupled(shrinkage=1.5)(factored)


@pytest.mark.parametrize("allocator", [Coupled(), Ilp(), Ilp(expansions=0)],
                         ids=["coupled", "ilp", "solver"])
def test_forbidden_pairs_that_leave_nothing_are_said_to(allocator):
    clash = Pair(first=0, second=1, values=np.where(np.eye(2), np.inf, 0.0))
    rows = (np.array([1.0, 3.0]),) * 2
    problem = Problem(losses=(np.array([3.0, 1.0]),) * 2, costs=(rows,), limits=(4.0,),
                      metrics=("size",), pairs=(clash,))
    assert sorted(allocator(problem).choice) == [0, 1]
    with pytest.raises(Forbidden, match="no choice without a forbidden pair has size within 3"):
        allocator(problem.limited(0, 3.0))
    never = Pair(first=0, second=1, values=np.full((2, 2), np.inf))
    with pytest.raises(Forbidden, match="no choice without a forbidden pair: allow more pairs"):
        allocator(Problem(losses=rows, pairs=(never,)))


def dense(seed, groups=20, schemes=4, rank=8, budgets=1):
    draw = np.random.default_rng(seed)
    bits = np.arange(2.0, 2.0 + schemes)
    losses = tuple(10.0 ** draw.uniform(-2, 0) * 4.0**-bits for _ in range(groups))
    along = draw.normal(size=(rank, groups, 1)) / np.sqrt(rank)
    factor = (along * 0.6 * np.sqrt(np.array(losses))).reshape(rank, -1)
    costs = tuple(tuple(np.rint(size * (bits + metric * draw.uniform(0, 2, schemes)))
                        for size in draw.integers(1, 64, groups)) for metric in range(budgets))
    limits = tuple(float(sum(np.median(row) for row in rows)) for rows in costs)
    return Problem(losses=losses, costs=costs, limits=limits, factor=factor,
                   metrics=tuple(f"metric{m}" for m in range(budgets)))


@pytest.mark.parametrize("budgets", [1, 2])
def test_the_gap_of_a_low_rank_factor_is_small_and_stated(budgets):
    problem = dense(0, budgets=budgets)
    selection = Coupled()(problem)
    assert selection.status == "feasible"
    assert 0 < selection.objective - selection.bound < 0.1 * selection.objective
    plain = Ilp()(replace(problem, factor=None))
    assert problem.objective(plain.choice) > selection.objective


def test_no_change_of_two_groups_helps_what_the_changes_end_with():
    problem = dense(1, groups=8)
    start = tuple(int(row.argmin()) for row in problem.costs[0])
    choice = Landscape.of(Core.of(problem)).improve(start)
    assert problem.objective(choice) < problem.objective(start)
    for i, j in itertools.combinations(range(8), 2):
        for a, b in itertools.product(range(4), repeat=2):
            changed = list(choice)
            changed[i], changed[j] = a, b
            assert not problem.meets(changed) or (
                problem.objective(changed) >= problem.objective(choice) * (1 - 1e-9))


@settings(max_examples=50)
@given(seed=SEEDS)
def test_a_layout_is_a_tree_decomposition(seed):
    graph = nx.gnp_random_graph(9, 0.3, seed=seed)
    pairs = [Pair(first=i, second=j, values=np.ones((2, 2))) for i, j in graph.edges]
    plan = layout(9, pairs)
    place = {group: index for index, group in enumerate(plan.order)}
    assert sorted(plan.order) == list(range(9))
    for i, j in graph.edges:
        assert i in plan.scopes[j] or j in plan.scopes[i]
    for group, scope in enumerate(plan.scopes):
        assert all(place[other] < place[group] for other in scope)
        assert list(scope) == sorted(scope, key=place.__getitem__, reverse=True)
        if scope:
            assert set(scope[1:]) <= set(plan.scopes[scope[0]])


def test_a_grid_is_as_wide_as_it_has_to_be():
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 20))
    pairs = [Pair(first=i, second=j, values=np.ones((2, 2))) for i, j in grid.edges]
    assert max(map(len, layout(60, pairs).scopes)) == 3
