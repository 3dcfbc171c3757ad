"""Policies that cannot be read, or are for another model."""

import json

import pytest
import torch
from safetensors.torch import save_file

RUN = ("run", "--policy", "policy.json")


@pytest.fixture
def edit(user):
    """Change the user's policy file."""

    def change(**fields):
        path = user / "policy.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def test_a_policy_that_is_not_there(refused, tmp_path):
    for command in (("run", "--policy", "gone.json"), ("show", "gone.json")):
        assert "gone.json" in refused(*command, cwd=tmp_path)


@pytest.mark.parametrize("command", [RUN, ("show", "policy.json")])
def test_a_truncated_policy(refused, user, command):
    path = user / "policy.json"
    path.write_bytes(path.read_bytes()[:200])
    assert "policy.json is not complete JSON" in refused(*command, cwd=user)


@pytest.mark.parametrize("command", [RUN, ("show", "policy.json")])
def test_a_policy_of_the_future(refused, user, edit, command):
    edit(version=99, invention=True)
    line = refused(*command, cwd=user)
    assert "version 99" in line
    assert "upgrade" in line


def test_json_that_is_no_policy(refused, user):
    assert "not a policy" in refused("run", "--policy", "policy.front.json", cwd=user)


def test_the_second_policy_of_a_comparison(refused, user):
    assert "gone.json" in refused("show", "policy.json", "--against", "gone.json", cwd=user)


def test_a_policy_for_other_layers_names_some(refused, user, edit):
    layers = json.loads((user / "policy.json").read_text())["layers"]
    layers["renamed"] = layers.pop("3")
    edit(layers=layers)
    line = refused(*RUN, cwd=user)
    assert "renamed" in line
    assert "another model" in line


def test_a_policy_without_one_of_the_layers(refused, user, edit):
    layers = json.loads((user / "policy.json").read_text())["layers"]
    del layers["3"]
    edit(layers=layers)
    assert "says nothing of 3" in refused(*RUN, cwd=user)


def test_a_policy_for_another_model(refused, user):
    line = refused(*RUN, "--model", "mpsearch.zoo.digits:model", "--data",
                   "mpsearch.zoo.digits:data", cwd=user)
    assert "another model" in line


def test_a_policy_for_other_weights_of_the_same_model(refused, user):
    torch.manual_seed(7)
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(),
                                torch.nn.Linear(72, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    save_file(other.state_dict(), user / "other.safetensors")
    line = refused(*RUN, "--weights", "other.safetensors", cwd=user)
    assert "other weights" in line
    assert json.loads((user / "policy.json").read_text())["model"]["fingerprint"][7:19] in line
