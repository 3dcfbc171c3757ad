"""What a problem makes of pairs, factors, ties and pins: exact totals, and nothing lost."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.allocation.additive import additive
from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.rewritten import as_pairs, shrunk
from mpsearch.core.errors import BadInput, Infeasible, Unsupported
from mpsearch.core.types import ScoreTable

SEEDS = st.integers(0, 10**6)


def choices(problem):
    return itertools.product(*map(range, problem.sizes))


def by_hand(problem, choice):
    """The total loss without rounding."""
    if any(math.isinf(p.values[choice[p.first], choice[p.second]]) for p in problem.pairs):
        return math.inf
    total = sum(Fraction(float(row[k])) for row, k in zip(problem.losses, choice, strict=True))
    total += sum(Fraction(float(p.values[choice[p.first], choice[p.second]]))
                 for p in problem.pairs)
    starts = np.cumsum([0, *problem.sizes])
    for row in () if problem.factor is None else problem.factor:
        for i, j in itertools.combinations(range(len(choice)), 2):
            total += 2 * Fraction(float(row[starts[i] + choice[i]])) * Fraction(
                float(row[starts[j] + choice[j]]))
    return float(total)


@settings(max_examples=30)
@given(seed=SEEDS)
def test_the_objective_is_correctly_rounded(coupled_problem, seed):
    problem = coupled_problem(seed, decades=12)
    for choice in itertools.islice(choices(problem), 20):
        assert problem.objective(choice) == by_hand(problem, choice)


def test_the_factor_means_what_it_means_in_a_table():
    table = ScoreTable(metric="loss", unit="nats", groups=("a", "b"), factor=((1.0, 2.0, 3.0, -1),),
                       values=((3.0, 1.0), (2.0, 0.5)))
    whole = Problem.from_tables(table, [], [], shrinkage=1.0)
    half = Problem.from_tables(table, [], [], shrinkage=0.5)
    for choice in itertools.product(range(2), repeat=2):
        assert whole.objective(choice) == table.predict(choice)
        assert half.objective(choice) == pytest.approx(
            (table.predict(choice) + table.total(choice)) / 2, rel=1e-14)
        assert Problem.from_tables(table, [], []).objective(choice) == table.total(choice)
    with pytest.raises(BadInput, match="count 2 times: say 0 to 1"):
        Problem.from_tables(table, [], [], shrinkage=2.0)


def test_a_forbidden_pair_keeps_to_no_limit():
    problem = Problem(losses=(np.ones(2),) * 2,
                      pairs=(Pair(first=1, second=0, values=np.array([[0, 0], [np.inf, 1.0]])),))
    assert problem.objective((0, 1)) == math.inf
    assert not problem.meets((0, 1))
    assert problem.meets((1, 1))
    assert problem.objective((1, 1)) == 3.0


def test_pairs_of_the_same_groups_add_up_and_empty_ones_go():
    one = Pair(first=0, second=1, values=np.array([[1.0, 2.0]]))
    other = Pair(first=1, second=0, values=np.array([[5.0], [-2.0]]))
    problem = Problem(losses=(np.ones(1), np.ones(2)), pairs=(one, other))
    assert [pair.values.tolist() for pair in problem.pairs] == [[[6.0, 0.0]]]
    empty = Pair(first=0, second=1, values=np.zeros((1, 2)))
    assert Problem(losses=problem.losses, pairs=(empty,)).pairs == ()


@pytest.mark.parametrize(("first", "second", "values", "message"), [
    (0, 0, np.ones((2, 2)), "pair of groups 0 and 0 cannot be"),
    (0, 2, np.ones((2, 2)), "pair of groups 0 and 2 cannot be"),
    (0, 1, np.ones((3, 2)), r"shape \(3, 2\), not \(2, 3\)"),
    (0, 1, np.full((2, 3), -np.inf), r"neither a finite number nor \+inf"),
    (0, 1, np.full((2, 3), np.nan), r"neither a finite number nor \+inf"),
])
def test_pairs_that_make_no_sense_are_refused(first, second, values, message):
    pair = Pair(first=first, second=second, values=values)
    with pytest.raises(BadInput, match=message):
        Problem(losses=(np.ones(2), np.ones(3)), pairs=(pair,))


@pytest.mark.parametrize(("factor", "message"), [
    (np.ones((2, 3)), r"shape \(2, 3\): give it 4 columns"),
    (np.full((1, 4), np.inf), "not a finite number"),
    (np.ones(4), "give it 4 columns"),
])
def test_factors_that_make_no_sense_are_refused(factor, message):
    with pytest.raises(BadInput, match=message):
        Problem(losses=(np.ones(2), np.ones(2)), factor=factor)


@settings(max_examples=30)
@given(seed=SEEDS)
def test_ties_pins_and_what_is_kept_have_the_same_totals(coupled_problem, seed):
    draw = np.random.default_rng(seed)
    problem = coupled_problem(seed, sizes=(3, 2, 3, 3, 2))
    pinned = problem.pin(2, int(draw.integers(3)))
    try:
        tied = problem.tie([[0, 3], [1, 4]])
    except Infeasible:
        tied = pinned
    for derived in (pinned, tied, problem.without_dominated()):
        for choice in itertools.islice(choices(derived.problem), 0, None, 5):
            whole = derived.expand(choice)
            assert derived.problem.objective(choice) == pytest.approx(
                problem.objective(whole), rel=1e-12, abs=1e-14)
            assert derived.problem.meets(choice) == problem.meets(whole)


def test_tied_groups_lose_the_candidates_that_are_forbidden_together():
    beside = np.where(np.eye(3)[:, ::-1], 1.0, 2.0)
    beside[1, 1] = np.inf
    problem = Problem(losses=(np.zeros(3),) * 3, pairs=(Pair(first=0, second=2, values=beside),))
    tied = problem.tie([[0, 2]])
    assert tied.kept == ((0, 2), (0, 1, 2))
    assert tied.expand((1, 1)) == (2, 1, 2)
    never = Pair(first=0, second=2, values=np.full((3, 3), np.inf))
    with pytest.raises(Infeasible, match=r"groups 0\+2 cannot be tied"):
        Problem(losses=problem.losses, pairs=(never,)).tie([[0, 2]])


@pytest.mark.parametrize(("group", "candidate"), [(2, 0), (-1, 0), (0, 2)])
def test_pins_that_make_no_sense_are_refused(group, candidate):
    with pytest.raises(BadInput, match="cannot pin group"):
        Problem(losses=(np.ones(2), np.ones(3))).pin(group, candidate)


@settings(max_examples=40)
@given(seed=SEEDS)
def test_dominance_looks_at_interactions(coupled_problem, least_of, seed):
    problem = coupled_problem(seed, whole=True)
    assert least_of(problem.without_dominated().problem) == pytest.approx(
        least_of(problem), rel=1e-12, abs=1e-14)


def test_a_candidate_better_in_loss_stays_beside_one_with_better_interactions():
    pair = Pair(first=0, second=1, values=np.array([[5.0, 0.0], [0.0, 0.0]]))
    problem = Problem(losses=(np.array([0.0, 1.0]), np.array([0.0, 0.0])), pairs=(pair,))
    assert problem.without_dominated().kept == ((0, 1), (1,))
    factor = np.array([[1.0, 0.0, -1.0, 0.0]])
    crossed = Problem(losses=problem.losses, factor=factor)
    assert crossed.without_dominated().kept == ((0, 1), (0, 1))


def test_a_factor_as_pairs_and_shrinkage(coupled_problem):
    problem = coupled_problem(5, pairs=False, factor=True)
    whole, half = as_pairs(problem, 10**6), shrunk(problem, 0.5)
    plain = Problem(losses=problem.losses)
    assert as_pairs(problem, 2) is None
    for choice in choices(problem):
        full = problem.objective(choice)
        assert whole.objective(choice) == pytest.approx(full, rel=1e-12, abs=1e-14)
        assert half.objective(choice) == pytest.approx(
            (full + plain.objective(choice)) / 2, rel=1e-12, abs=1e-14)


def test_an_additive_allocator_refuses_and_names_those_that_take_them(coupled_problem):
    additive(Problem(losses=(np.ones(2),)), "hull")
    with pytest.raises(Unsupported, match="'hull' takes no pairs of groups: use coupled or ilp"):
        additive(coupled_problem(1, factor=False), "hull")
    with pytest.raises(Unsupported, match=r"'hull' takes no factor .*: use coupled"):
        additive(coupled_problem(1, pairs=False, factor=True), "hull")
