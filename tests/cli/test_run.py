"""`run`: a policy applied and evaluated again."""

import json

import pytest

RUN = ("run", "--policy", "policy.json", "--json", "--timing", "0")


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
    ran = tool("run", "--policy", "policy.json", *mine[4:6], "--timing", "0", cwd=user)
    assert ran.code == 0
    evaluation = json.loads((user / "policy.json").read_text())["evaluation"]
    assert f"{100 * evaluation['agreement']:.1f} ±" in ran.out
    assert "32 held-out samples" in ran.out


def test_it_is_timed_beside_the_float_model(tool, user, mine):
    ran = tool("run", "--policy", "policy.json", *mine[4:6], "--timing", "0.01", "--json",
               cwd=user)
    speed = ran.data["speed"]
    assert speed["ratio"] == speed["float_ms"] / speed["policy_ms"] > 0
    assert (speed["batch"], speed["backend"]) == (1, "simulated")
    assert speed["policy_bytes"] == ran.data["totals"]["file_bytes"]
    assert speed["float_bytes"] > 0
    told = tool("run", "--policy", "policy.json", *mine[4:6], "--timing", "0.01", cwd=user)
    assert "milliseconds  speed-up" in told.out
    assert "this policy" in told.out
    assert tool(*RUN, *mine[4:6], cwd=user).data["speed"] is None


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_a_time_without_sense_is_refused(tool, user, seconds):
    ran = tool("run", "--policy", "policy.json", "--timing", seconds, cwd=user)
    assert ran.code == 2
    assert "timed for 0 seconds (not at all) or more" in ran.err


@pytest.mark.parametrize("count", [1, 7])
def test_few_samples_are_enough(tool, user, count):
    ran = tool(*RUN, "--evaluation-samples", count, "--batch-size", "2", cwd=user)
    assert ran.data["samples"] == count
    assert ran.data["kl_stderr"] >= 0
