"""`show`: why each layer got its bits."""

import json
import shutil

import pytest


@pytest.fixture
def policy(measured_digits):
    """The policy file as plain data."""
    return json.loads((measured_digits / "policy.json").read_text())


def test_shares_of_the_loss_come_to_one(tool, measured_digits, policy):
    data = tool("show", "policy.json", "--json", cwd=measured_digits).data
    rows = data["layers"]
    assert [row["name"] for row in rows] == list(policy["layers"])
    assert sum(row["share"] for row in rows if row["share"] is not None) == pytest.approx(1)
    assert data["unit"] == "nats"
    assert data["totals"] == policy["totals"]
    assert sum(row["weights"] for row in rows) == policy["totals"]["weights"]


def test_the_next_scheme_has_more_bits_and_gains(tool, measured_digits):
    rows = tool("show", "policy.json", "--json", cwd=measured_digits).data["layers"]
    larger = [row for row in rows if row["next_scheme"]]
    assert len(larger) > 5
    for row in larger:
        assert row["next_scheme"]["weight"]["bits"] > row["scheme"]["weight"]["bits"]
        assert row["gain_per_kib"] > 0


def test_without_the_workspace_it_shows_the_layers_and_says_what_is_missing(
        tool, measured_digits, policy, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(measured_digits / "policy.json", alone)
    ran = tool("show", "policy.json", "--json", cwd=alone)
    rows = {row["name"]: row for row in ran.data["layers"]}
    assert list(rows) == list(policy["layers"])
    assert rows["head"]["scheme"] == policy["layers"]["head"]
    assert {row["share"] for row in rows.values()} == {None}
    told = tool("show", "policy.json", cwd=alone)
    assert told.code == 0
    assert "--workspace" in told.out
    assert list(alone.iterdir()) == [alone / "policy.json"], "showing writes nothing"


def test_without_the_workspace_no_kind_is_made_up(tool, measured_digits, tmp_path):
    """A policy does not say what kind its layers are; the first one is a convolution."""
    shutil.copy(measured_digits / "policy.json", tmp_path)
    rows = tool("show", "policy.json", "--json", cwd=tmp_path).data["layers"]
    first = next(row for row in rows if row["name"] == "patch_embed.proj")
    assert first["kind"] in (None, "", "conv")


def test_two_policies_side_by_side(tool, measured_digits, policy, few):
    tool("allocate", "--budget", "3bpw", "--no-verify", "--output", "small.json", *few,
         cwd=measured_digits)
    other = json.loads((measured_digits / "small.json").read_text())
    differ = [name for name in policy["layers"]
              if policy["layers"][name] != other["layers"][name]]
    ran = tool("show", "policy.json", "--against", "small.json", "--json", cwd=measured_digits)
    assert list(ran.data["differences"]) == differ
    assert len(differ) > 5
    told = tool("show", "policy.json", "--against", "small.json", cwd=measured_digits).out
    assert f"{len(differ)} of {len(policy['layers'])} layers differ" in told
    assert all(text in told for text in (differ[0], "policy.json", "small.json"))


def test_a_policy_against_itself_differs_nowhere(tool, measured_digits):
    ran = tool("show", "policy.json", "--against", "policy.json", "--json", cwd=measured_digits)
    assert ran.data["differences"] == {}


def test_the_workspace_may_be_elsewhere(tool, measured_digits):
    (measured_digits / ".mpsearch").rename(measured_digits / "elsewhere")
    ran = tool("show", "policy.json", "--workspace", "elsewhere", "--json", cwd=measured_digits)
    assert ran.data["unit"] == "nats"


def test_what_more_of_the_budget_would_save_and_which_scheme_came_second(
        tool, measured_digits, policy):
    data = tool("show", "policy.json", "--json", cwd=measured_digits).data
    price, = data["prices"]
    assert (price["budget"], price["unit"], price["binds"]) == ("4.5bpw", "nats/KiB", True)
    made, = policy["provenance"]["allocator"]["prices"]
    assert made["price"] == price["price"] > 0
    weighted = [row for row in data["layers"] if row["scheme"]["weight"]]
    assert all(row["other_scheme"] not in (None, row["scheme"]) for row in weighted)
    told = tool("show", "policy.json", cwd=measured_digits).out
    assert all(words in told for words in ("Prices", "nats/KiB", "second best"))


def test_why_a_pin_costs_what_it_costs(tool, measured_digits, few):
    """As much as pinning it for good would, which is solved anew."""
    tool("allocate", "--budget", "3bpw", "--no-verify", *few, cwd=measured_digits)
    data = tool("show", "policy.json", "--why", "blocks.0.mlp.fc1=W2", "--json",
                cwd=measured_digits).data
    assert data["proven"]
    assert data["cost"] == data["pinned"] - data["best"] > 0
    assert data["here"] > 0, "it loses more itself, and leaves bits to others"
    assert data["cost"] <= data["here"]
    assert "blocks.0.mlp.fc1" not in data["changes"]
    told = tool("show", "policy.json", "--why", "blocks.0.mlp.fc1=W2", cwd=measured_digits).out
    assert "the pin costs" in told


def test_a_pin_that_is_none_is_refused(refused, measured_digits):
    assert "layer=scheme" in refused("show", "policy.json", "--why", "W2", cwd=measured_digits)


def test_what_the_allocator_could_not_do_is_told_and_kept(tool, measured_digits, few):
    command = ("allocate", *[word for limit in ("4bpw", "0.4GBOPs", "114KiB", "0.41GBOPs")
                             for word in ("-b", limit)],
               "--allocator", "hull", "--no-verify", *few)
    note = tool(*command, "--json", cwd=measured_digits).data["note"]
    assert note
    policy = json.loads((measured_digits / "policy.json").read_text())
    assert policy["provenance"]["allocator"]["note"] == note
    assert f"hull: {note}" in tool(*command, cwd=measured_digits).out
    shown = tool("show", "policy.json", cwd=measured_digits)
    assert f"hull: {note}" in shown.out


@pytest.mark.parametrize("command", [("show", "policy.json"),
                                     ("show", "policy.json", "--why", "head=W2")])
def test_prices_say_which_objective_they_are_of(tool, measured_digits, few, command):
    said = "are those of the additive objective; the policy was chosen by the robust one"
    assert said not in tool(*command, cwd=measured_digits).out
    ran = tool("allocate", "--budget", "4bpw", "--objective", "robust", "--no-verify", *few,
               cwd=measured_digits)
    assert said in ran.out
    assert said in tool(*command, cwd=measured_digits).out
    assert said in tool(*command, "--json", cwd=measured_digits).data["caveats"][0]
