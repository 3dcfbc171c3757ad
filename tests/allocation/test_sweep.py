"""The sweep: exact when wide, a bound when narrow, silent when nothing is better."""

import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mpsearch.allocation.bound import Relaxation, unit_weights
from mpsearch.allocation.core import Core
from mpsearch.allocation.state import State
from mpsearch.allocation.sweep import _undominated, sweep


def run(problem, width, best=math.inf):
    core = Core.of(problem)
    relaxations = [Relaxation.of(core, weights) for weights in unit_weights(core)]
    return core, sweep(core, relaxations, best, width)


@settings(max_examples=100)
@given(data=st.data(), width=st.sampled_from([1, 3, 100_000]))
def test_what_it_proves_holds(problems, brute_force, data, width):
    problem = data.draw(problems())
    reachable = problem.binding().within_reach()
    assume(reachable is not None)
    least = brute_force(reachable.problem)
    core, swept = run(reachable.problem, width)
    if least is None:
        assert swept.choice is None
    else:
        assert core.base + swept.bound <= least + 1e-12 * abs(least)
    if least is not None and width == 100_000:
        assert core.problem.meets(swept.choice)
        assert core.problem.objective(swept.choice) == least


def test_partial_choices_that_others_match_are_dropped(check_undominated):
    check_undominated(_undominated)


def test_it_finds_nothing_where_the_known_loss_is_least(model_like):
    problem = model_like(3, groups=12)
    core, first = run(problem, 10_000)
    known = core.excess(first.choice)
    _, second = run(problem, 10_000, best=known)
    assert second.choice is None
    assert second.bound >= known * (1 - 1e-11)


def test_a_narrow_sweep_says_what_it_gave_up(model_like):
    problem = model_like(5, groups=40)
    core, narrow = run(problem, 1)
    _, wide = run(problem, 100_000)
    assert narrow.bound < wide.bound
    assert core.excess(narrow.choice) >= core.excess(wide.choice)


def test_dropping_candidates_makes_the_bound_no_worse(model_like):
    state = State(core=Core.of(model_like(7))).swept(4)
    assert state.core.size < Core.of(model_like(7)).size
    assert state.best is not None
    assert state.bound <= state.core.problem.objective(state.best)
    settled = state.swept(100_000)
    assert settled.closed
    assert settled.bound >= state.bound
