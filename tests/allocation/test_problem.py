"""What a problem is: its checks, its exact totals, ties and dominance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable

TABLE = ScoreTable(metric="loss", unit="nats", groups=("a", "b"), values=((3.0, 1.0), (2.0, 0.5)))
SIZE = ScoreTable(metric="size", unit="bits", groups=("a", "b"), values=((1.0, 4.0), (2.0, 8.0)))


def two(limit=5.0):
    return Problem.from_tables(TABLE, [SIZE], [limit])


def test_totals_floor_and_ceiling():
    problem = two()
    assert problem.objective((0, 1)) == 3.5
    assert problem.cost(0, (1, 0)) == 6.0
    assert problem.spent((1, 1)) == (12.0,)
    assert (problem.floor(0), problem.ceiling(0)) == (3.0, 12.0)
    assert problem.groups == ("a", "b")
    assert problem.metrics == ("size",)


def test_totals_do_not_depend_on_the_order_of_summation():
    values = [1e16, 1.0, -1e16, 1.0]
    problem = Problem(losses=tuple(np.array([value]) for value in values))
    assert problem.objective((0,) * 4) == 2.0


def test_a_limit_is_kept_without_tolerance():
    assert two(6.0).meets((1, 0))
    assert not two(math.nextafter(6.0, 0)).meets((1, 0))


def test_limits_may_be_infinite():
    assert two(math.inf).meets((1, 1))
    assert two(math.inf).binding().metrics == ()
    assert two().binding().metrics == ("size",)


def test_another_limit_leaves_the_rest():
    problem = two().limited(0, 7.0)
    assert problem.limits == (7.0,)
    assert problem.objective((1, 1)) == two().objective((1, 1))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_names_its_group(bad):
    rows = (np.array([1.0, 2.0]), np.array([1.0, bad]))
    fine = (np.ones(2), np.ones(2))
    with pytest.raises(BadInput, match=r"loss of group 'conv' .* not a finite number"):
        Problem(losses=rows, groups=("stem", "conv"))
    with pytest.raises(BadInput, match=r"size of group '1' .* not a finite number"):
        Problem(losses=fine, costs=(rows,), limits=(3.0,), metrics=("size",))


@pytest.mark.parametrize(("change", "message"), [
    ({"losses": ()}, "no groups"),
    ({"losses": (np.array([]), np.ones(2))}, "loss of group '0' is no row of numbers"),
    ({"losses": (np.ones((2, 1)), np.ones(2))}, "loss of group '0' is no row of numbers"),
    ({"costs": ((np.ones(2), np.ones(3)),)}, "size of group '1' has 3 values for 2 candidates"),
    ({"costs": ((np.ones(2),),)}, "size has 1 rows for 2 groups"),
    ({"limits": ()}, "1 costs, 0 limits"),
    ({"limits": (math.nan,)}, "limit on size is not a number"),
    ({"groups": ("a",)}, "loss has 2 rows for 1 groups"),
])
def test_rows_that_do_not_fit_are_refused(change, message):
    rows = (np.ones(2), np.ones(2))
    whole = {"losses": rows, "costs": (rows,), "limits": (2.0,), "metrics": ("size",)}
    with pytest.raises(BadInput, match=message):
        Problem(**{**whole, **change})


def test_rows_are_copied_and_read_only():
    row = np.ones(2)
    problem = Problem(losses=(row,))
    row[0] = 5.0
    assert problem.objective((0,)) == 1.0
    with pytest.raises(ValueError, match="read-only"):
        problem.losses[0][0] = 2.0


def test_tables_of_different_groups_are_refused():
    other = ScoreTable(metric="bops", unit="BOPs", groups=("a", "c"), values=SIZE.values)
    with pytest.raises(BadInput, match="'loss' and 'bops' are about different groups"):
        Problem.from_tables(TABLE, [other], [1.0])


def test_tied_groups_decide_together():
    rows = tuple(np.array([float(g), g + 10.0]) for g in range(4))
    problem = Problem(losses=rows, costs=(rows,), limits=(30.0,), metrics=("size",),
                      groups=("a", "b", "c", "d"))
    tied = problem.tie([[3, 1]])
    assert tied.problem.groups == ("a", "b+d", "c")
    assert [row.tolist() for row in tied.problem.losses] == [[0, 10], [4, 24], [2, 12]]
    assert tied.expand((0, 1, 0)) == (0, 1, 0, 1)
    for choice in [(0, 1, 0), (1, 0, 1)]:
        assert tied.problem.objective(choice) == problem.objective(tied.expand(choice))
        assert tied.problem.spent(choice) == problem.spent(tied.expand(choice))


@pytest.mark.parametrize("sets", [[[0, 5]], [[0, 1], [1, 2]], [[0, 3]], [[-1, 0]]])
def test_ties_that_make_no_sense_are_refused(sets):
    problem = Problem(losses=(np.ones(2), np.ones(2), np.ones(2), np.ones(3)))
    with pytest.raises(BadInput, match="cannot tie"):
        problem.tie(sets)


def test_dominated_candidates_go_and_the_first_of_equals_stays():
    problem = Problem(losses=(np.array([3.0, 1.0, 1.0, 2.0, 0.0]),),
                      costs=((np.array([2.0, 2.0, 2.0, 3.0, 9.0]),),), limits=(9.0,),
                      metrics=("size",))
    reduced = problem.without_dominated()
    assert reduced.kept == ((1, 4),)
    assert reduced.problem.losses[0].tolist() == [1.0, 0.0]
    assert reduced.expand((1,)) == (4,)


@given(data=st.data())
def test_dropping_dominated_candidates_keeps_the_optimum(problems, brute_force, data):
    problem = data.draw(problems(groups=3))
    reduced = problem.without_dominated()
    assert brute_force(reduced.problem) == brute_force(problem)
    for row, kept in zip(problem.losses, reduced.kept, strict=True):
        assert kept == tuple(sorted(set(kept)))
        assert len(kept) <= row.size


def test_candidates_out_of_reach_go():
    rows = (np.array([1.0, 4.0, 6.0]), np.array([2.0, 3.0]))
    problem = Problem(losses=rows, costs=(rows,), limits=(6.0,), metrics=("size",))
    reachable = problem.within_reach()
    assert reachable.kept == ((0, 1), (0, 1))
    assert reachable.expand((1, 0)) == (1, 0)
    assert problem.limited(0, 2.0).within_reach() is None


@given(data=st.data())
def test_dropping_what_is_out_of_reach_keeps_every_choice(problems, brute_force, data):
    problem = data.draw(problems(groups=3))
    reachable = problem.within_reach()
    least = brute_force(problem)
    assert least == (None if reachable is None else brute_force(reachable.problem))
