"""`run --save` and `run --packed`: one file with the policy and every number."""

import json
import shutil

import pytest
import torch

SAVE = ("run", "--policy", "policy.json", "--timing", "0", "--save", "model.safetensors",
        "--json")
RUN = ("run", "--packed", "model.safetensors", "--timing", "0")


@pytest.fixture(scope="session")
def saved(tiny, tool, mine, tmp_path_factory):
    """The user's folder with a packed file; only ever copied."""
    folder = tmp_path_factory.mktemp("saved") / "user"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("__pycache__"))
    ran = tool(*SAVE, *mine[4:6], cwd=folder)
    return folder, ran.data


@pytest.fixture
def packed(saved, tmp_path):
    """A copy of the folder to work in."""
    folder = tmp_path / "user"
    shutil.copytree(saved[0], folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_file_has_the_bytes_that_the_policy_states(saved):
    folder, told = saved
    totals = json.loads((folder / "policy.json").read_text())["totals"]
    assert (folder / "model.safetensors").stat().st_size == totals["file_bytes"]
    assert told["file_bytes"] == totals["file_bytes"] == told["totals"]["file_bytes"]
    assert told["files"] == ["model.safetensors"]
    assert told["top1"] is not None


def test_it_runs_without_the_policy_and_the_float_weights(saved, packed, tool, mine, listing):
    (packed / "policy.json").unlink()
    shutil.rmtree(packed / ".mpsearch")
    code = (packed / "mine.py").read_text().replace("manual_seed(0)", "manual_seed(5)")
    (packed / "mine.py").write_text(code)
    before = set(listing(packed))
    ran = tool(*RUN, "--json", *mine[:6], cwd=packed)
    told = saved[1]
    assert ran.data["score"] == {key: told[key] for key in ("samples", "top1", "top1_stderr")}
    assert ran.data["totals"] == told["totals"]
    assert set(listing(packed)) == before, "nothing is written"


def test_outputs_are_those_of_the_policy_bit_for_bit(packed, monkeypatch):
    import mpsearch

    monkeypatch.chdir(packed)
    x = torch.randn(7, 3, 8, 8)
    module = mpsearch.unpack("model.safetensors", "mine.py:model")
    assert torch.equal(module(x), mpsearch.apply(mpsearch.Policy.load("policy.json"))(x))


def test_without_data_it_says_that_it_runs(packed, tool, mine):
    ran = tool(*RUN, *mine[:2], cwd=packed)
    assert ran.code == 0, ran.err
    assert "give --data" in ran.out
    assert tool(*RUN, *mine[:2], "--json", cwd=packed).data["score"] is None


def test_a_person_reads_the_score_and_the_size(packed, tool, mine):
    ran = tool(*RUN, *mine[:4], cwd=packed)
    assert ran.code == 0, ran.err
    assert "top-1 when it was made (32 samples)" in ran.out
    assert "whole file" in ran.out


def test_saving_for_a_person(packed, tool, mine):
    ran = tool(*SAVE[:-1], *mine[4:6], cwd=packed)
    assert ran.code == 0, ran.err
    assert "wrote model.safetensors: " in ran.out


def test_a_policy_that_states_another_size_is_told_of(packed, tool, mine):
    policy = json.loads((packed / "policy.json").read_text())
    policy["totals"]["file_bytes"] = 5
    (packed / "policy.json").write_text(json.dumps(policy))
    ran = tool(*SAVE, *mine[4:6], cwd=packed)
    assert "the policy states 5" in ran.err
    assert ran.data["file_bytes"] == (packed / "model.safetensors").stat().st_size


def test_the_embedded_model_needs_no_name(tool, measured_digits, few, monkeypatch):
    """And its float weights are not read."""
    from mpsearch.zoo import digits

    tool(*SAVE, *few[2:], cwd=measured_digits)
    monkeypatch.setattr(digits, "WEIGHTS", "nowhere")
    ran = tool(*RUN, "--json", cwd=measured_digits)
    stored = json.loads((measured_digits / "policy.json").read_text())["evaluation"]
    assert ran.data["score"]["top1"] == stored["top1"]
    assert ran.data["score"]["samples"] == stored["samples"]


@pytest.mark.parametrize(("arguments", "words"), [
    ((), "give a policy"), (("--policy", "policy.json", "--packed", "model.safetensors"), "one of"),
    ((*RUN[1:], "--save", "x"), "give --policy"), ((*RUN[1:], "--weights", "x"), "own weights"),
    ((*RUN[1:], "--workspace", ".mpsearch"), "leave out --workspace"),
    (("--policy", "model.safetensors"), "--packed model.safetensors"),
    (RUN[1:], "mine.py:model, which is your own code"),
    (("--packed", "gone.safetensors"), "no such file"),
    ((*RUN[1:], "--model", "resnet18"), "does not fit the model"),
    ((*RUN[1:], "--backend", "gone"), "unknown backend"),
    (("--policy", "policy.json", "--save", "."), "it is a folder"),
])
def test_refusals(refused, packed, arguments, words):
    assert words in refused("run", *arguments, cwd=packed)


@pytest.mark.parametrize(("save", "more"), [
    ("policy.json", ()), ("./policy.json", ()),
    ("model.safetensors", ("--weights", "model.safetensors"))])
def test_what_is_read_is_not_written_over(refused, packed, save, more):
    before = (packed / save).read_bytes()
    line = refused("run", "--policy", "policy.json", "--save", save, *more, cwd=packed)
    assert "would be lost" in line
    assert (packed / save).read_bytes() == before


@pytest.mark.parametrize("size", [0, 7, 1000, -1])
def test_a_file_cut_short(refused, packed, mine, size):
    path = packed / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert "model.safetensors" in refused(*RUN, *mine[:2], cwd=packed)


def test_a_policy_is_no_packed_file(refused, packed):
    assert "no safetensors file" in refused("run", "--packed", "policy.json", cwd=packed)
