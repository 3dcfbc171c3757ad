"""`run`: a policy applied and evaluated again."""

import json

import pytest

RUN = ("run", "--policy", "policy.json", "--json")


def test_it_measures_what_the_policy_says_was_measured(tool, measured_digits, few, listing):
    stored = json.loads((measured_digits / "policy.json").read_text())
    before = listing(measured_digits)
    ran = tool(*RUN, *few[2:], cwd=measured_digits)
    for name, value in stored["evaluation"].items():
        assert ran.data[name] == value
    assert ran.data["totals"] == stored["totals"]
    assert ran.data["backend"] == "simulated"
    assert listing(measured_digits) == before, "the workspace held this measurement"


def test_it_measures_the_same_in_an_empty_workspace(tool, user, mine):
    stored = json.loads((user / "policy.json").read_text())["evaluation"]
    ran = tool(*RUN, *mine[4:6], *mine[8:], "--workspace", "empty", cwd=user)
    for name, value in stored.items():
        assert ran.data[name] == value


def test_more_samples_are_a_finer_measurement(tool, user):
    ran = tool(*RUN, "--evaluation-samples", "64", cwd=user)
    assert ran.data["samples"] == 64
    assert 0 < ran.data["kl"] < 1
    assert ran.data["top1"] is not None


def test_the_model_of_the_policy_may_be_named_again(tool, user, mine):
    again = tool(*RUN, *mine[:6], cwd=user)
    assert again.data == tool(*RUN, *mine[4:6], cwd=user).data


def test_a_person_reads_the_same_numbers(tool, user, mine):
    ran = tool("run", "--policy", "policy.json", *mine[4:6], cwd=user)
    assert ran.code == 0
    evaluation = json.loads((user / "policy.json").read_text())["evaluation"]
    assert f"{100 * evaluation['agreement']:.1f} ±" in ran.out
    assert "32 held-out samples" in ran.out


@pytest.mark.parametrize("count", [1, 7])
def test_few_samples_are_enough(tool, user, count):
    ran = tool(*RUN, "--evaluation-samples", count, "--batch-size", "2", cwd=user)
    assert ran.data["samples"] == count
    assert ran.data["kl_stderr"] >= 0
