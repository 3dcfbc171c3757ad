"""Accuracy first, from the command line."""

import json

import pytest


def test_the_smallest_policy_within_a_tolerance(tool, user, mine):
    data = tool("allocate", "--tolerance", "0.02kl", "--json", *mine, cwd=user).data
    told = data["tolerance"]
    assert told["tolerance"] == "0.02kl"
    assert told["reached"] <= 0.02
    assert (told["split"], told["samples"], told["minimised"]) == ("calibration", 16, "size")
    assert 1 <= told["policies"] <= 8
    budget, = data["budgets"]
    assert budget["achieved"] <= budget["requested"] < budget["ceiling"]
    made = json.loads((user / "policy.json").read_text())["provenance"]
    assert made["tolerance"] == told
    assert made["budgets"] == [budget["budget"]]
    assert data["verification"]["measured"]["allocated"]["kl"] > 0, "verified on held-out samples"


def test_a_second_search_runs_nothing_anew_and_says_the_same(tool, user, mine, listing):
    command = ("allocate", "--tolerance", "0.02kl", "--no-verify", *mine)
    first = tool(*command, "--json", cwd=user).data
    before = listing(user)
    assert tool(*command, "--json", cwd=user).data == first
    assert listing(user) == before
    assert "within the tolerance 0.02kl" in tool(*command, cwd=user).out


@pytest.mark.parametrize(("options", "words"), [
    (("--tolerance", "lots"), "cannot read the tolerance 'lots'"),
    (("--tolerance", "1%", "--minimise", "time"), "choose size, bops, latency, energy"),
    (("--tolerance", "1%", "--judge", "anyone"), "choose calibration or evaluation"),
    (("--tolerance", "0kl"), "no policy stays within the tolerance 0kl"),
    (("--tolerance", "1%", "--budget", "1bpw"), "1bpw cannot be met"),
])
def test_tolerances_that_cannot_be_answered(refused, user, mine, options, words):
    assert words in refused("allocate", *options, *mine, cwd=user)
