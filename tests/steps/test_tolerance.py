"""Accuracy first: the search, on curves with and without noise, and on policies."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput, Infeasible, Unsupported
from mpsearch.core.tolerance import Tolerance
from mpsearch.core.types import Evaluation
from mpsearch.steps import tolerance
from mpsearch.steps.bisection import smallest
from mpsearch.steps.limits import rows
from mpsearch.steps.progress import silent
from mpsearch.steps.tolerance import Wanted, tolerate

SHAPES = ((8, 16), (8, 32), (16, 16), (4, 64))
BITS = (2, 3, 4, 6, 8)


@given(st.integers(1, 300), st.data())
def test_on_a_monotone_curve_it_is_the_smallest_that_passes(count, data):
    first = data.draw(st.integers(0, count))
    found = smallest(count, lambda place: place >= first)
    assert found == (None if first == count else first)


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_with_noise_the_answer_passed_and_no_smaller_one_that_was_asked_did(verdicts):
    asked = {}

    def passes(place):
        assert place not in asked, "nothing is asked twice"
        asked[place] = verdicts[place]
        return verdicts[place]

    found = smallest(len(verdicts), passes)
    assert len(asked) <= math.ceil(math.log2(len(verdicts) + 1))
    if found is None:
        assert not any(asked.values())
        assert asked[len(verdicts) - 1] is False, "the largest was tried"
    else:
        assert asked[found] is True
        assert not any(passed for place, passed in asked.items() if place < found)
        assert found == 0 or asked[found - 1] is False


@pytest.fixture
def measured(make_space, make_measured, weight):
    space = make_space({f"layer{i}": (shape, [weight(each) for each in BITS])
                        for i, shape in enumerate(SHAPES)})
    draw = np.random.default_rng(0)
    heights = draw.uniform(0.1, 1, len(SHAPES))
    return make_measured(space, [[float(height * 4.0**-bits) for bits in BITS]
                                 for height in heights])


@pytest.fixture
def runs(monkeypatch):
    """Takes the place of running policies; a function of their bits says what they lose."""
    seen = []

    def install(kl, top1=0.9):
        def run(_session, policies, _progress, *, split):
            policy, = policies.values()
            bits = tuple(scheme.weight.bits for scheme in policy.schemes.values())
            seen.append((split, bits))
            evaluation = Evaluation(
                samples=64, kl=kl(bits), kl_stderr=0.0, agreement=1.0, agreement_stderr=0.0,
                top1=top1 and top1 - kl(bits), float_top1=top1)
            return {"policy": SimpleNamespace(evaluation=evaluation)}

        monkeypatch.setattr(tolerance, "measure_policies", run)
        return seen
    return install


def falling(bits):
    return sum(4.0**-each for each in bits)


def found_for(measured, text, budgets=(), allocator="ilp", **wanted):
    return tolerate(None, measured, "kl_probe", [Budget.parse(each) for each in budgets],
                    Wanted(tolerance=Tolerance.parse(text), **wanted), allocator=allocator,
                    progress=silent)


@pytest.mark.parametrize("text", ["0.01kl", "0.001kl", "0.5%", "0.05"])
def test_the_answer_stays_within_and_what_is_just_smaller_does_not(measured, runs, text):
    seen = runs(falling)
    found = found_for(measured, text)
    asked, told = Tolerance.parse(text), found.tolerated
    bits = tuple(BITS[k] for k in found.selection.choice)
    assert told.reached == pytest.approx(falling(bits))
    assert told.reached <= told.limit == asked.limit
    assert {split for split, _ in seen} == {"calibration"}, "held-out data may not decide"
    assert len(seen) == len(set(seen)) == told.policies <= math.ceil(math.log2(tolerance.POINTS))
    sizes = measured.costs()["size"]
    choices = [tuple(BITS.index(each) for each in bits) for _, bits in seen]
    smaller = [choice for choice in choices
               if sizes.total(choice) < sizes.total(found.selection.choice)]
    assert all(falling([BITS[k] for k in choice]) > asked.limit for choice in smaller)
    row, = found.budgets
    assert row.limit == found.selection.costs[0] == sizes.total(found.selection.choice)
    assert found.meets(found.selection.choice)
    again, = rows([Budget.parse(row.budget.text)], measured)
    assert again.limit == row.limit, "the budget can be typed"


def test_budgets_hold_while_the_smallest_is_sought(measured, runs):
    runs(falling)
    free = found_for(measured, "0.1kl", minimise="bops")
    bound = found_for(measured, "0.1kl", budgets=["3.9bpw"], minimise="bops")
    assert bound.budgets[1].budget.text == "3.9bpw"
    assert bound.selection.costs[1] <= bound.budgets[1].limit
    assert bound.selection.costs[0] >= free.selection.costs[0]
    assert bound.tolerated.minimised == "bops"


def test_budgets_that_exclude_each_other_are_said_to_and_others_are_not_asked_about(
        make_space, make_measured, weight, runs, monkeypatch):
    """A 3-bit weight in groups weighs more than 4 bits a channel, and multiplies for less."""
    asked, check = [], tolerance.require_together
    monkeypatch.setattr(tolerance, "require_together", lambda rows: asked.append(1) or check(rows))
    runs(falling)
    measured = make_measured(make_space({"one": ((1, 64), [weight(3, "group:1"), weight(4)])}))
    assert found_for(measured, "1kl", budgets=["5bpw", "9kBOPs"])
    assert asked == []
    with pytest.raises(Infeasible, match=r"5bpw and 6\.5kBOPs together, .*: raise 5bpw to"):
        found_for(measured, "1kl", budgets=["5bpw", "6.5kBOPs"])
    assert asked == [1]


def test_a_tolerance_out_of_reach_says_what_was_reached(measured, runs):
    runs(falling)
    with pytest.raises(Infeasible, match=r"loses 6\.104e-05 nats on 64 calibration samples"):
        found_for(measured, "0.00001kl")
    with pytest.raises(Infeasible, match=r"within the tolerance 0\.1%: .* of top-1"):
        found_for(measured, "0.1%", budgets=["3bpw"])


def test_a_smaller_policy_that_passed_by_luck_is_kept(measured, runs):
    """What loses nothing at all is the cheapest choice; larger ones that fail do not matter."""
    weights = [math.prod(shape) for shape in SHAPES]
    runs(lambda bits: 0.0 if np.average(bits, weights=weights) < 5.5 else 1.0)
    found = found_for(measured, "0.01kl")
    assert set(found.selection.choice) == {0}


def test_held_out_samples_decide_where_that_is_asked(measured, runs):
    seen = runs(falling)
    assert found_for(measured, "0.01kl", judge="evaluation").tolerated.split == "evaluation"
    assert {split for split, _ in seen} == {"evaluation"}


def test_accuracy_without_labels_is_refused(measured, runs):
    runs(falling, top1=None)
    with pytest.raises(BadInput, match="no labels"):
        found_for(measured, "1%")


@pytest.mark.parametrize(("setting", "value"), [("minimise", "time"), ("judge", "training")])
def test_what_cannot_be_wanted(setting, value):
    with pytest.raises(BadInput, match=f"'{value}'"):
        Wanted(tolerance=Tolerance.parse("1%"), **{setting: value})


def test_scores_of_several_families_give_no_front(measured, runs):
    from dataclasses import replace

    runs(falling)
    table = replace(measured.tables["kl_probe"], families=("a", "b", "a", "b"))
    with pytest.raises(Unsupported, match="within a family"):
        found_for(replace(measured, tables={"kl_probe": table}), "1%")
