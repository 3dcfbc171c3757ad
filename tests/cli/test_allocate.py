"""The main job, end to end: a budget in, a policy with its files out."""

import json
import math
import shutil

import pytest

from mpsearch.core import io
from mpsearch.core.types import Policy, ScoreTable, unique_weights
from mpsearch.report.front import load_front
from mpsearch.steps.record import StudyRecord


@pytest.fixture(scope="module")
def answer(digits):
    """The folder, what the command printed, and the policy it wrote."""
    folder, ran = digits
    return folder, ran.data, Policy.load(folder / "policy.json")


@pytest.fixture(scope="module")
def layers(answer):
    """The layers of the model, as the workspace holds them."""
    folder, _, policy = answer
    record = io.load(folder / ".mpsearch" / "studies" / f"{policy.provenance['study']}.json",
                     StudyRecord)
    return record.space.layers


def test_it_writes_a_policy_a_front_and_two_pictures(answer):
    folder, data, _ = answer
    names = ["policy.json", "policy.front.json", "policy.front.png", "policy.front.svg"]
    assert data["files"] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted([".mpsearch", *names])
    assert (folder / "policy.front.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (folder / "policy.front.svg").read_bytes()
    assert load_front(folder / "policy.front.json").chosen == data["verification"]["returned"]


def test_every_layer_has_one_scheme_and_the_answer_names_it(answer, layers):
    _, data, policy = answer
    assert list(policy.layers) == [layer.name for layer in layers]
    assert data["layers"] == {name: str(scheme) for name, scheme in policy.layers.items()}


def test_the_budget_holds_for_what_is_stored(answer, layers):
    _, data, policy = answer
    owners = unique_weights(layers)
    stored = sum(policy.layers[layer.name].weight.stored_bits(layer.weight_shape)
                 for layer in owners)
    assert policy.totals.size_bits == stored
    assert policy.totals.weights == sum(layer.weights for layer in owners) > 0
    assert policy.totals.bits_per_weight == stored / policy.totals.weights <= 4.5
    budget, = data["budgets"]
    assert budget["achieved"] == policy.totals.bits_per_weight
    assert budget["floor"] < budget["achieved"] <= budget["requested"] == 4.5 < budget["ceiling"]


def test_the_size_is_that_of_the_packed_weights(tiny, monkeypatch):
    """And what is packed is what the policy runs on."""
    from mpsearch.quantizers.packing import packed_tensors, unpacked
    from mpsearch.steps.session import open_session
    from mpsearch.workspace import Workspace

    monkeypatch.chdir(tiny)
    policy = Policy.load("policy.json")
    captured = open_session("mine.py:model", Workspace(), {"data": "mine.py:data"}).captured
    stored = 0
    for layer in unique_weights(captured.layers.specs):
        fmt = policy.layers[layer.name].weight
        codes, params = captured.fake.weights.encode(layer.name, fmt)
        tensors = packed_tensors(codes, params, fmt)
        stored += sum(tensor.nbytes for tensor in tensors.values())
        again, found = unpacked(tensors, fmt, layer.weight_shape)
        assert again.equal(codes)
        assert found.scale.equal(params.scale)
    assert 8 * stored == policy.totals.size_bits


def test_the_loss_and_its_bound(answer):
    folder, data, policy = answer
    assert data["status"] == "optimal"
    assert data["bound"] <= data["objective"] * (1 + 1e-9)
    assert data["objective"] == pytest.approx(data["bound"], rel=1e-6)
    table, = (io.load(path, ScoreTable) for path in (folder / ".mpsearch" / "tables").iterdir())
    assert policy.totals.predicted_loss >= math.fsum(min(row) for row in table.values)
    assert policy.totals.measured_loss == policy.evaluation.kl > 0


def test_uniform_policies_of_the_budget_were_run_and_no_others(answer):
    measured = answer[1]["verification"]["measured"]
    uniform = [name for name in measured if name != "allocated"]
    assert len(uniform) == 3, "2, 3 and 4 bits fit in 4.5, and 5 do not"
    assert all(measured[name]["bits_per_weight"] <= 4.5 for name in uniform)
    assert {measured[name]["verdict"] for name in uniform} <= {"better", "same", "worse"}
    assert answer[1]["evaluation"]["samples"] == 96


def test_provenance_says_how_it_was_made(answer):
    made = answer[2].provenance
    assert made["estimator"]["name"] == "kl_probe"
    assert made["allocator"]["name"] == "ilp"
    assert made["space"]["name"] == "weights_only"
    assert made["budgets"] == ["4.5bpw"]
    assert made["seed"] == 0
    assert made["data"] == "mpsearch.zoo.digits:data"
    assert answer[2].model.source == "mpsearch.zoo.digits:model"


def test_a_fresh_workspace_holds_the_same_bytes(tiny, tool, mine, listing, tmp_path):
    """Policy, front, pictures, tables, evaluations: everything."""
    shutil.copy(tiny / "mine.py", tmp_path)
    ran = tool("allocate", "--budget", "5bpw", "--json", *mine, cwd=tmp_path)
    assert ran.code == 0, ran.err
    once, again = listing(tiny), listing(tmp_path)
    assert list(once) == list(again)
    assert [name for name in once if once[name] != again[name]] == []


def test_another_seed_measures_on_other_samples(tool, user, mine):
    policies = [Policy.load(user / "policy.json")]
    tool("allocate", "--budget", "5bpw", "--seed", "1", *mine, cwd=user)
    policies.append(Policy.load(user / "policy.json"))
    assert policies[0].provenance["study"] != policies[1].provenance["study"]
    held_out = [policy.provenance["verification"]["measured"]["uniform W4"]["kl"]
                for policy in policies]
    assert held_out[0] != held_out[1]


@pytest.mark.parametrize("keep", [(), ("--keep",)])
def test_a_uniform_policy_that_is_better_is_returned_unless_asked_to_keep(tool, user, mine, keep):
    """Scores turned upside down make an allocation that any uniform policy beats."""
    path, = (user / ".mpsearch" / "tables").iterdir()
    table = json.loads(path.read_text())
    table["values"] = [[-value for value in row] for row in table["values"]]
    path.write_text(json.dumps(table))
    command = ("allocate", "--budget", "5bpw", *keep, *mine)
    data = tool(*command, "--json", cwd=user).data
    verification = data["verification"]
    assert "uniform W4" in verification["better_than_allocated"]
    assert verification["returned"] == ("allocated" if keep else "uniform W4")
    policy = Policy.load(user / "policy.json")
    widths = {scheme.weight.bits for scheme in policy.layers.values()}
    assert widths == ({2} if keep else {4})
    assert policy.evaluation.kl == verification["measured"][verification["returned"]]["kl"]
    assert data["budgets"][0]["achieved"] == policy.totals.bits_per_weight
    told = tool(*command, cwd=user).out
    assert ("kept as asked" if keep else "is returned instead") in told


def test_the_tables_say_the_same_as_the_json(answer, tool, measured_digits, few):
    ran = tool("allocate", "--budget", "4.5bpw", *few, cwd=measured_digits)
    assert ran.code == 0
    policy = answer[2]
    for text in ("4.500 bits", f"{policy.totals.bits_per_weight:.3f} bits", "optimal",
                 "uniform W4", "96 held-out samples", "wrote policy.json, policy.front.json"):
        assert text in ran.out
