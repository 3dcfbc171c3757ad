import pytest

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.steps.allocate import allocate
from mpsearch.steps.explain import explain
from mpsearch.steps.measure import table_key
from mpsearch.steps.policy import make_policy
from mpsearch.steps.request import Request
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
    (first, last), unit = explain(policy, Workspace(tmp_path))
    assert unit == "nats"
    assert (first.share, last.share) == (0.75, 0.25)
    assert first.next_scheme == weight(8)
    assert first.gain_per_kib == pytest.approx((3 - 1) / (64 * 4 / 8192))
    assert (last.gain_per_kib, last.next_scheme) == (None, None), "8 bits are no better there"
    assert (first.weights, last.weights) == (64, 512)


def test_without_the_scores_there_are_no_shares(policy, tmp_path):
    rows, unit = explain(policy, Workspace(tmp_path / "elsewhere"))
    assert unit == ""
    assert [row.name for row in rows] == ["first", "last"]
    assert all(row.share is None and row.gain_per_kib is None for row in rows)


def test_a_scheme_that_is_not_on_the_menu_has_no_share(policy, tmp_path, weight):
    policy.layers["first"] = weight(5)
    (first, last), _ = explain(policy, Workspace(tmp_path))
    assert first.scheme == weight(5)
    assert first.share is None
    assert last.share is not None
