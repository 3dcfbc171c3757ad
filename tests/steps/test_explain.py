import pytest

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput, Infeasible
from mpsearch.steps.allocate import allocate
from mpsearch.steps.explain import explain
from mpsearch.steps.measure import table_key
from mpsearch.steps.policy import make_policy
from mpsearch.steps.request import Request
from mpsearch.steps.why import why_not
from mpsearch.workspace import Workspace


@pytest.fixture
def policy(two_layers, make_measured, tmp_path):
    """A policy with 4 and 4 bits, made from scores that the workspace holds."""
    measured = make_measured(two_layers, [[9.0, 3.0, 1.0], [9.0, 1.0, 1.0]])
    workspace = Workspace(tmp_path)
    workspace.save("studies", "study", measured.record)
    key = table_key("study", "kl_probe", plugins.load("estimator", "kl_probe")())
    workspace.save("tables", key, measured.tables["kl_probe"])
    return make_policy(Request(), allocate(measured, "kl_probe", [Budget.parse("4.6bpw")]))


def test_shares_gains_and_next_schemes(policy, tmp_path, weight):
    found = explain(policy, Workspace(tmp_path))
    first, last = found.layers
    assert found.unit == "nats"
    assert (first.share, last.share) == (0.75, 0.25)
    assert first.next_scheme == weight(8)
    assert first.gain_per_kib == pytest.approx((3 - 1) / (64 * 4 / 8192))
    assert (last.gain_per_kib, last.next_scheme) == (None, None), "8 bits are no better there"
    assert (first.weights, last.weights) == (64, 512)


def test_without_the_scores_there_are_no_shares(policy, tmp_path):
    found = explain(policy, Workspace(tmp_path / "elsewhere"))
    assert found.unit == ""
    assert found.prices == ()
    assert [row.name for row in found.layers] == ["first", "last"]
    assert all(row.share is None and row.gain_per_kib is None and row.other_scheme is None
               for row in found.layers)


def test_a_scheme_that_is_not_on_the_menu_has_no_share(policy, tmp_path, weight):
    policy.layers["first"] = weight(5)
    found = explain(policy, Workspace(tmp_path))
    first, last = found.layers
    assert first.scheme == weight(5)
    assert first.share is None
    assert last.share is not None
    assert [row.slack for row in found.prices] == [None], "what it leaves over is not known"


def test_a_budget_has_the_price_of_the_step_it_cuts(policy, tmp_path, weight):
    """By hand: the last bits before the limit would take the first layer from 4 to 8."""
    found = explain(policy, Workspace(tmp_path))
    price, = found.prices
    first, last = found.layers
    step = (3 - 1) / (64 * 4 / 8192)
    assert (price.budget, price.unit, price.binds) == ("4.6bpw", "nats/KiB", True)
    assert price.price == pytest.approx(step)
    assert price.slack == pytest.approx((4.6 * 576 // 1 - 2512) / 8192)
    assert first.other_scheme == weight(8)
    assert first.other_cost == pytest.approx(0, abs=1e-12), "at this price it is all the same"
    assert last.other_scheme == weight(2)
    assert last.other_cost == pytest.approx((9 - 1) - step * 512 * 2 / 8192, abs=1e-12)
    assert policy.provenance["allocator"]["prices"] == [
        {"budget": "4.6bpw", "price": price.price, "unit": "nats/KiB", "slack": price.slack}]


def test_a_pin_costs_what_the_others_give_up_for_it(policy, tmp_path, weight):
    """The first layer at 8 bits leaves too little for 4 bits in the last one."""
    found = why_not(policy, Workspace(tmp_path), "first=W8")
    assert (found.best, found.pinned, found.here) == (4, 10, -2)
    assert found.cost == 6
    assert found.proven
    assert found.changes == {"last": (weight(4), weight(2))}
    assert why_not(policy, Workspace(tmp_path), "first=W4s/channel").cost == 0


def test_a_pin_that_no_policy_can_keep_says_what_would_be_needed(policy, tmp_path):
    with pytest.raises(Infeasible, match=r"no policy with last=W8 meets 4\.6bpw: raise") as caught:
        why_not(policy, Workspace(tmp_path), "last=W8")
    needed = Budget.parse(str(caught.value).rpartition(" to ")[2])
    assert needed.limit == pytest.approx((8 * 512 + 2 * 64 + 10 * 12 + 72) / 576, rel=0.01)


@pytest.mark.parametrize(("text", "words"), [
    ("W8", "layer=scheme"), ("none=W8", "layer=scheme"), ("last=W5", "no scheme of last"),
    ("last=", "no scheme of last")])
def test_a_pin_that_cannot_be_read(policy, tmp_path, text, words):
    with pytest.raises(BadInput, match=words):
        why_not(policy, Workspace(tmp_path), text)


def test_a_pin_needs_the_scores(policy, tmp_path):
    with pytest.raises(BadInput, match="does not hold the scores"):
        why_not(policy, Workspace(tmp_path / "elsewhere"), "last=W8")


def test_a_policy_with_other_budgets_in_its_provenance_is_shown_without_prices(policy, tmp_path):
    policy.provenance["budgets"] = ["as small as it gets"]
    found = explain(policy, Workspace(tmp_path))
    assert found.prices == ()
    assert found.layers[0].share == 0.75
