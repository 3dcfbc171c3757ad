"""The parts of the dense solver: both sets of inner loops, references, remainders, cores."""

import math
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.fixed import most
from mpsearch.allocation.hull import Hull
from mpsearch.allocation.knapsack import plain, reference, single
from mpsearch.allocation.knapsack.choose import kernels
from mpsearch.allocation.knapsack.dense import solve_dense
from mpsearch.allocation.knapsack.exact import Ruler
from mpsearch.allocation.knapsack.remainder import Remainder
from mpsearch.allocation.knapsack.table import Table
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput

KINDS = ("layers", "heavy", "strong", "equal", "fractions", "ties")
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")


def instance(kind, groups, schemes, seed, share=0.4):
    """Losses, costs and a limit of one budget; every kind is hard in a way of its own."""
    draw = np.random.default_rng(seed)
    bits = 2 + 0.25 * np.arange(schemes)
    height = 10.0 ** draw.uniform(-4, 0, groups)[:, None]
    losses = height * 4.0**-bits * np.exp(draw.normal(0, 0.3, (groups, schemes)))
    costs = draw.integers(1, 64, groups)[:, None] * 1024.0 * bits
    rising = np.sort(draw.integers(1, 10_000, (groups, schemes)), axis=1).astype(float)
    if kind == "heavy":
        sizes = np.rint(np.exp(draw.normal(10, 2.5, groups)))[:, None] + 1
        losses, costs = losses * sizes, np.rint(sizes * bits)
    elif kind == "strong":
        costs, losses = rising, rising[:, -1:] - rising + 10.0 * np.arange(schemes)[::-1]
    elif kind == "equal":
        costs, losses = rising, 10_000 - rising
    elif kind == "fractions":
        costs *= np.exp(draw.normal(0, 0.05, costs.shape))
    elif kind == "ties":
        losses = draw.integers(0, 3, losses.shape).astype(float)
        costs = draw.integers(0, 3, costs.shape).astype(float)
    low, high = costs.min(axis=1).sum(), costs.max(axis=1).sum()
    return losses, costs, math.floor(low + share * (high - low))


@needs_numba
@pytest.mark.parametrize(("kind", "groups"), [
    *((kind, groups) for kind in KINDS for groups in (7, 60)),
    *((kind, 3000) for kind in KINDS if kind != "strong")])
def test_compiled_loops_settle_alike_to_the_last_bit(kind, groups):
    compiled = import_module("mpsearch.allocation.knapsack.compiled")
    for seed in range(3):
        losses, costs, limit = instance(kind, groups, 6, seed)
        losses[seed::5, 4:] = np.inf
        costs[seed::5, 4:] = 0.0
        table = Table.of(losses, costs[None], [limit])
        one, two = (single.settle(table, 30, each) for each in (plain, compiled))
        assert one.pick.tolist() == two.pick.tolist()
        assert (one.excess, one.low) == (two.excess, two.low)


def test_small_tables_do_without_numba():
    code = ("import sys, numpy as np\nfrom mpsearch.allocation.hull import Hull\n"
            "from mpsearch.allocation.problem import Problem\n"
            "rows = (np.array([2.0, 1.0]),) * 50\n"
            "Hull()(Problem(losses=rows, costs=(tuple(3 - r for r in rows),), limits=(70.0,),"
            " metrics=('size',)))\nassert 'numba' not in sys.modules\n"
            "assert 'scipy' not in sys.modules and 'torch' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_numba_large_tables_take_the_plain_loops(monkeypatch):
    monkeypatch.delitem(sys.modules, "mpsearch.allocation.knapsack.compiled", raising=False)
    monkeypatch.setattr("mpsearch.core.loops.find_spec", lambda _: None)
    assert kernels(10**9) is plain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_reference_is_best_at_its_price_and_the_first_above_the_limit(kind, share):
    losses, costs, limit = instance(kind, 3000, 5, 1, share)
    found = reference.reference(losses, costs, limit, plain, 1e300)
    rows = np.arange(len(losses))
    worse = losses - losses[rows, found.pick][:, None] + found.price * (
        costs - costs[rows, found.pick][:, None])
    assert worse.min() >= -1e-12 * losses.max()
    assert costs[rows, found.within].sum() <= limit
    assert np.count_nonzero(found.pick != found.within) <= 1
    if (found.pick != found.within).any():
        assert costs[rows, found.pick].sum() > limit


@pytest.mark.parametrize("kind", ["layers", "fractions", "ties"])
def test_thousands_of_groups_are_proven(kind):
    losses, costs, limit = instance(kind, 4000, 8, 3)
    answer = solve_dense(losses, costs[None], [limit])
    rows = np.arange(len(losses))
    assert answer.proven
    assert math.fsum(costs[rows, answer.choice]) <= limit
    excess = math.fsum(losses[rows, answer.choice] - losses.min(axis=1))
    assert answer.excess == pytest.approx(excess, rel=1e-12)
    assert answer.low <= excess * (1 + 1e-12)


def test_a_completion_cut_short_says_so_and_its_bound_holds():
    losses, costs, limit = instance("strong", 60, 6, 0)
    best, narrow = (solve_dense(losses, costs[None], [limit], width=w) for w in (1 << 17, 1))
    assert best.proven
    assert not narrow.proven
    assert narrow.low <= best.excess <= narrow.excess


def test_what_the_completion_leaves_open_goes_to_the_integer_program():
    losses, costs, limit = instance("strong", 40, 4, 0)
    problem = Problem(losses=tuple(losses), costs=(tuple(costs),), limits=(limit,),
                      metrics=("size",))
    known, handed = Hull()(problem), Hull(width=1)(problem)
    assert known.note == ""
    assert "left to the integer program" in handed.note
    assert handed.objective == pytest.approx(known.objective, rel=1e-12)
    alone = Hull(width=1, time_limit_s=0.0)(problem)
    assert alone.status == "feasible"
    assert "left open" in alone.note
    assert alone.bound <= known.objective <= alone.objective


@settings(max_examples=100)
@given(data=st.data())
def test_a_remainder_counts_as_the_whole_does(problems, data):
    problem = data.draw(problems(budgets=(1, 3)))
    table = Table.of_problem(problem)
    sizes = [row.size for row in problem.losses]
    pick = np.array([data.draw(st.integers(0, size - 1)) for size in sizes])
    groups = np.flatnonzero([data.draw(st.booleans()) for _ in sizes])
    rest = Remainder.of(table, pick, groups, np.isfinite(table.losses[groups]))
    choice = [data.draw(st.integers(0, row.size - 1)) for row in rest.problem.losses]
    whole = rest.expand(choice).tolist()
    assert rest.problem.objective(choice) == problem.objective(whole)
    assert rest.problem.spent(choice) == problem.spent(whole)
    assert rest.problem.meets(choice) == problem.meets(whole)


@given(costs=st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=6), ulps=st.integers(-2, 2))
def test_a_ruler_knows_the_last_bit_of_a_limit(costs, ulps):
    chosen, total = np.array(costs), math.fsum(costs)
    limit = total + ulps * math.ulp(total)
    ruler = Ruler.of(chosen, max(costs), limit)
    assert (ruler.over <= (0, 0)) == (total <= limit)
    high, low = ruler.changes(np.arange(len(costs)), chosen[:, None])
    assert not high.any()
    assert not low.any()
    assert most(limit, ruler.shift) > 0


def test_thousands_of_costs_do_not_overflow_their_second_limb():
    chosen = np.full(70_000, 1 / 3)
    total = math.fsum(chosen)
    assert Ruler.of(chosen, 1.0, total).over <= (0, 0)
    assert Ruler.of(chosen, 1.0, math.nextafter(total, 0)).over > (0, 0)


@pytest.mark.parametrize(("losses", "costs", "limits"), [
    (np.ones((2, 2)), np.ones((1, 2, 3)), [1.0]), (np.ones((2, 2)), np.ones((2, 2)), [1.0]),
    (np.ones((2, 2)), np.ones((1, 2, 2)), [math.inf]),
    (np.ones((0, 2)), np.ones((1, 0, 2)), [1.0]), (np.ones((2, 2)), np.ones((2, 2, 2)), [1, 2]),
    (np.full((2, 2), math.nan), np.ones((1, 2, 2)), [1.0]),
    (np.ones((2, 2)), np.full((1, 2, 2), math.inf), [1.0])])
def test_tables_that_make_no_sense_are_refused(losses, costs, limits):
    with pytest.raises(BadInput):
        solve_dense(losses, costs, limits)


def test_a_limit_out_of_reach_has_no_answer():
    assert solve_dense(np.ones((2, 2)), np.ones((1, 2, 2)), [1.0]) is None
