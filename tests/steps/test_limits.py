from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch import api
from mpsearch.allocation.problem import Problem
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput, Infeasible, Unsupported
from mpsearch.core.types import ScoreTable, SearchSpace
from mpsearch.steps import relaxed
from mpsearch.steps.allocate import allocate
from mpsearch.steps.limits import Row, floor_text, rows
from mpsearch.steps.relaxed import conflict, require_together

UNITS = ["bpw", "B", "KB", "MB", "GB", "KiB", "MiB", "GiB", "BOPs", "kBOPs", "GBOPs", "TBOPs"]


def parsed(*texts):
    return [Budget.parse(text) for text in texts]


def test_bits_per_weight_are_over_all_weights(two_layers, make_measured):
    row, = rows(parsed("4bpw"), make_measured(two_layers))
    assert row.limit == pytest.approx(4 * 576)
    assert row.shown(row.limit) == pytest.approx(4)
    assert row.floor == pytest.approx((4 * 16 * 2 + 4 * 16 + 8 + 8 * 64 * 2 + 8 * 16 + 8) / 576)


def test_bytes_are_of_the_whole_file(two_layers, make_measured):
    row, = rows(parsed("2KiB"), make_measured(two_layers, other_bytes=1000))
    assert row.limit == (2048 - 1000) * 8
    assert row.shown(80) == 1010


def test_operations_are_as_they_are_counted(two_layers, make_measured):
    row, = rows(parsed("1MBOPs"), make_measured(two_layers))
    assert row.limit == 1e6
    assert row.floor == 576 * 2 * 32
    assert row.ceiling == 576 * 8 * 32


@pytest.mark.parametrize(("texts", "error", "words"), [
    (["4ms"], Unsupported, "4ms needs what the model runs"),
    (["4mJ"], Unsupported, "4mJ needs what the model runs"),
    (["4KiB-activations"], Unsupported, "4KiB-activations needs what the model runs"),
    (["8bpw", "1bpw"], Infeasible, "1bpw cannot be met"),
    (["1KB", "100B"], Infeasible, "100B cannot be met"),
])
def test_what_cannot_be_a_limit(two_layers, make_measured, texts, error, words):
    with pytest.raises(error, match=words):
        rows(parsed(*texts), make_measured(two_layers))


def test_no_budget_is_no_problem(two_layers, make_measured):
    with pytest.raises(BadInput, match="at least one budget"):
        allocate(make_measured(two_layers), "kl_probe", [])


def test_bits_per_weight_need_weights(make_measured):
    with pytest.raises(BadInput, match="has none"):
        rows(parsed("4bpw"), make_measured(SearchSpace(name="empty", layers=(), groups=()),
                                           losses=[]))


def only_choice(total, *, weights, other_bytes):
    """A measurement in which there is one choice, of *total* bits and as many operations."""
    table = ScoreTable(metric="size", unit="bits", groups=("all",), values=((float(total),),))
    record = SimpleNamespace(space=SimpleNamespace(weights=weights), other_bytes=other_bytes)
    return SimpleNamespace(costs=lambda: {"size": table, "bops": table}, record=record)


def is_met(row):
    """Whether the first choice keeps to the limit, as an allocator sees it."""
    return Problem.from_tables(row.table, [row.table], [row.limit]).meets((0,))


@given(unit=st.sampled_from(UNITS), total=st.integers(1, 2**50),
       weights=st.integers(1, 10**9), other_bytes=st.integers(0, 10**9))
def test_the_floor_that_is_said_is_met_by_the_cheapest_choice(unit, total, weights, other_bytes):
    """Whatever was asked: typed as the budget, it passes, and the problem agrees."""
    measured = only_choice(total, weights=weights, other_bytes=other_bytes)
    asked, = rows(parsed(f"1e30{unit}"), measured)
    text = floor_text(asked)
    typed, = rows(parsed(text), measured)
    assert is_met(typed)
    assert typed.shown(total) <= typed.budget.limit
    assert typed.budget.limit <= asked.floor * 1.0011, "and is no more than three digits above"


@given(total=st.integers(1, 2**40), weights=st.integers(1, 10**9))
def test_a_budget_of_exactly_what_a_choice_weighs_is_met_by_it(total, weights):
    """As a policy states its bits per weight, so they can be asked for."""
    exact = total / weights
    row, = rows(parsed(f"{exact!r}bpw"), only_choice(total, weights=weights, other_bytes=0))
    assert row.budget.limit == exact
    assert row.floor == exact
    assert is_met(row)


@given(bits=st.floats(0.01, 32), weights=st.integers(1, 10**12))
def test_no_choice_above_the_budget_meets_it(bits, weights):
    """The smallest number of bits that is above it is refused."""
    row, = rows(parsed(f"{bits!r}bpw"), only_choice(1, weights=weights, other_bytes=0)) if (
        bits >= 1 / weights) else (None,)
    if row is not None:
        above = next(size for size in range(int(bits * weights) - 2, int(bits * weights) + 4)
                     if size / weights > row.budget.limit)
        assert above > row.limit
        assert above - 1 <= row.limit


def test_an_allocation_keeps_to_all_budgets(two_layers, make_measured):
    measured = make_measured(two_layers, [[9.0, 5.0, 0.0], [9.0, 1.0, 0.0]])
    found = allocate(measured, "kl_probe", parsed("4.9bpw", "82kBOPs"))
    assert found.selection.choice == (2, 1)
    assert found.selection.status == "optimal"
    assert found.totals.predicted_loss == 1
    assert [row.budget.text for row in found.budgets] == ["4.9bpw", "82kBOPs"]
    assert found.meets((1, 1))
    assert not found.meets((1, 2))


def test_budgets_that_exclude_each_other_are_said_as_they_were_asked(make_space, weight,
                                                                     make_measured):
    """A 3-bit weight in groups weighs more than 4 bits a channel, and multiplies for less."""
    menu = [weight(3, "group:1"), weight(4)]
    measured = make_measured(make_space({"one": ((1, 64), menu)}))
    with pytest.raises(Infeasible) as caught:
        allocate(measured, "kl_probe", parsed("5bpw", "6.5kBOPs"))
    asked, _, advice = str(caught.value).partition(": raise ")
    assert "5bpw and 6.5kBOPs" in asked
    sizes, operations = (measured.costs()[name].values[0] for name in ("size", "bops"))
    size, less = (text.partition(" to ")[2] for text in advice.split(", or "))
    assert Budget.parse(size).limit == pytest.approx(sizes[0] / 64, rel=1e-3)
    assert Budget.parse(less).limit == pytest.approx(operations[1], rel=1e-3)
    for each in (parsed(size, "6.5kBOPs"), parsed("5bpw", less)):
        assert allocate(measured, "kl_probe", each).selection.status == "optimal"


def test_budgets_of_which_raising_one_is_not_enough():
    """Three schemes, each cheap in one respect only."""
    limited = [Row(budget=budget, per=1, offset=0, table=ScoreTable(
        metric=budget.metric, unit="", groups=("all",),
        values=(tuple(0.0 if k == m else 10.0 for k in range(3)),)))
        for m, budget in enumerate(parsed("5bpw", "5B", "5BOPs"))]
    with pytest.raises(Infeasible, match="raising one of them is not enough: raise") as caught:
        require_together(limited)
    raised = str(caught.value).rpartition(": raise ")[2].split(" and ")
    assert len(raised) == 2
    assert all(text.split(" to ")[1].startswith("10") for text in raised)


def test_an_allocator_that_gives_up_is_not_believed(two_layers, make_measured):
    """The advice is to take an exact one where there is a choice after all."""
    limited = rows(parsed("5bpw", "90kBOPs"), make_measured(two_layers))
    problem = Problem.from_tables(limited[0].table, [row.table for row in limited],
                                  [row.limit for row in limited])
    assert "there is one: use ilp" in str(conflict(problem, limited))


def test_an_unknown_allocator_is_named(two_layers, make_measured):
    with pytest.raises(BadInput, match="unknown allocator 'guess'"):
        allocate(make_measured(two_layers), "kl_probe", parsed("8bpw"), "guess")


def test_budgets_are_held_together_once_and_only_before_something_is_measured(tmp_path,
                                                                              monkeypatch):
    asked = []
    check = relaxed.require_together
    monkeypatch.setattr(relaxed, "require_together", lambda rows: asked.append(1) or check(rows))

    def answer(*budgets, estimator="weight_error"):
        return api.allocate(budgets, workspace=str(tmp_path), verify=False, estimator=estimator,
                            calibration_samples=8)

    first = answer("5bpw", "0.5GBOPs").policy
    assert asked == [1]
    assert answer("5bpw", "0.5GBOPs").policy == first
    assert asked == [1]
    assert answer("5bpw", "0.5GBOPs", estimator="output_error")
    assert asked == [1, 1]
    with pytest.raises(Infeasible, match="cannot be met: the floor"):
        answer("5bpw", "0.001GBOPs")
