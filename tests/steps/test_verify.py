"""Which policy is returned, and which ones it is held against."""

from types import SimpleNamespace

import numpy as np
import pytest

from mpsearch.core.budget import Budget
from mpsearch.core.types import Evaluation
from mpsearch.steps import verify as verifying
from mpsearch.steps.allocate import allocate
from mpsearch.steps.measurement import Measurement
from mpsearch.steps.verify import verify
from mpsearch.workspace import Workspace

SPREAD = np.random.default_rng(0).gamma(0.5, size=100)


@pytest.fixture
def run(monkeypatch, two_layers, make_measured, tmp_path):
    """Verify an allocation at 4.6 bits, where each policy's KL is *kl* of its bits a layer."""

    def call(kl, *, keep=False, budget="4.6bpw"):
        measured = make_measured(two_layers, [[9.0, 3.0, 2.5], [9.0, 1.0, 0.0]])
        allocation = allocate(measured, "kl_probe", [Budget.parse(budget)])
        asked = {}

        def measure(_session, policies, _progress):
            found = {}
            for label, policy in policies.items():
                bits = tuple(scheme.weight.bits for scheme in policy.schemes.values())
                asked[label] = bits
                values = tuple((kl[bits] * SPREAD).tolist())
                found[label] = Measurement(kl=values, evaluation=Evaluation(
                    samples=100, kl=float(np.mean(values)), kl_stderr=0.1, agreement=1.0,
                    agreement_stderr=0.0))
            return found

        monkeypatch.setattr(verifying, "measure_policies", measure)
        session = SimpleNamespace(workspace=Workspace(tmp_path))
        return verify(session, allocation, None, keep=keep), asked

    return call


def test_uniform_policies_within_the_budget_are_run(run):
    found, asked = run({(4, 4): 1.0, (2, 2): 2.0})
    assert asked == {"allocated": (4, 4), "uniform W2": (2, 2), "uniform W4": (4, 4)}
    assert {each.label for each in found.uniform} == {"uniform W2", "uniform W4"}
    assert found.winner is found.allocated
    assert found.better == ()


def test_uniform_policies_above_the_budget_are_not(run):
    _, asked = run({(8, 2): 1.0, (2, 2): 2.0}, budget="3.3bpw")
    assert asked == {"allocated": (8, 2), "uniform W2": (2, 2)}


def test_a_uniform_policy_that_is_clearly_better_wins(run):
    found, _ = run({(8, 2): 1.0, (2, 2): 0.5}, budget="3.3bpw")
    assert found.winner.label == "uniform W2"
    assert found.winner.totals.size_bits < found.allocated.totals.size_bits
    assert [each.label for each in found.better] == ["uniform W2"]
    assert found.winner.against.verdict == "better"


def test_unless_the_allocated_one_is_to_be_kept(run):
    found, _ = run({(8, 2): 1.0, (2, 2): 0.5}, budget="3.3bpw", keep=True)
    assert found.winner is found.allocated
    assert [each.label for each in found.better] == ["uniform W2"]


def test_of_several_that_are_better_the_best_wins(run):
    kl = {(8, 4): 1.0, (2, 2): 0.7, (4, 4): 0.3}
    found, _ = run(kl, budget="4.9bpw")
    assert {each.label for each in found.better} == {"uniform W2", "uniform W4"}
    assert found.winner.label == "uniform W4"


def test_without_a_uniform_policy_in_reach_the_allocated_one_stands(run):
    found, asked = run({(2, 2): 1.0}, budget="2.4bpw")
    assert found.winner is found.allocated
    assert "uniform W4" not in asked


def test_what_was_compared_is_not_compared_again(run, monkeypatch):
    first, _ = run({(4, 4): 1.0, (2, 2): 2.0})
    monkeypatch.setattr(verifying, "compare", lambda *_: pytest.fail("compared again"))
    again, _ = run({(4, 4): 1.0, (2, 2): 2.0})
    assert [each.against for each in again.uniform] == [each.against for each in first.uniform]
    monkeypatch.setattr(verifying, "compare", lambda *_: None)
    other, _ = run({(4, 4): 1.0, (2, 2): 3.0})
    assert other.uniform[0].against is None, "other measurements are compared anew"
