"""`mpsearch search`: a budget in, a policy that is never worse than where it began out."""

import json
import shutil
from itertools import pairwise

import pytest

from mpsearch.core.types import Policy

SMALL = ("--model", "mine.py:model", "--data", "mine.py:data", "--evaluation-samples", "32",
         "--calibration-samples", "16", "--batch-size", "16", "--search-samples", "16")
WITHIN = ("search", "--budget", "4bpw", "--trials", "8", *SMALL)


@pytest.fixture(scope="module")
def answer(tiny, tool, tmp_path_factory):
    """A folder in which a search ended, and what it printed."""
    folder = tmp_path_factory.mktemp("searched") / "user"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder, tool(*WITHIN, "--json", "--output", "found.json", cwd=folder)


def test_the_policy_is_within_the_budget_and_no_worse_than_any_start(answer):
    folder, ran = answer
    policy = Policy.load(folder / "found.json")
    assert policy.totals.bits_per_weight <= 4
    report = json.loads((folder / "found.search.json").read_text())
    trials = report["trials"]
    assert len(trials) == 8
    begun = [t for t in trials if t["origin"] == "allocated" or t["origin"].startswith("uniform")]
    assert len(begun) >= 2
    assert all(report["best"]["loss"] <= t["loss"] for t in begun)
    assert ran.data["search"]["held_out"].keys() >= {"search"}
    assert policy.evaluation.kl == ran.data["search"]["held_out"]["search"]["kl"]
    assert (folder / "found.search.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_measures_nothing_again_and_writes_the_same_bytes(answer, tool):
    folder, ran = answer
    before = {path.name: path.read_bytes() for path in folder.glob("found.*")}
    again = tool(*WITHIN, "--json", "--output", "found.json", cwd=folder)
    assert again.data == ran.data
    assert {path.name: path.read_bytes() for path in folder.glob("found.*")} == before


def test_another_place_gives_the_same_study(answer, tool, user):
    folder, _ = answer
    tool(*WITHIN, "--output", "found.json", "--storage", "memory", cwd=user)
    assert (user / "found.search.json").read_bytes() == (folder / "found.search.json").read_bytes()


def test_it_tells_how_the_search_went_and_what_it_is_worth(answer, tool):
    folder, _ = answer
    ran = tool(*WITHIN, "--output", "told.json", cwd=folder)
    assert ran.code == 0
    for words in ("best less start (95 %)", "Which layers decide", "Held-out samples: 32",
                  "search is", "wrote told.search.png"):
        assert words in ran.out


def test_a_front_is_searched_over_costs(user, tool):
    ran = tool("search", "--front", "--objective", "loss", "--objective", "bops", "--trials", "26",
               "--json", *SMALL, cwd=user)
    points = ran.data["points"]
    assert all(point["held_out"] > 0 for point in points)
    values = sorted((p["values"][1], p["values"][0]) for p in points)
    assert len(values) > 2
    assert all(later[1] < earlier[1] for earlier, later in pairwise(values))
    assert ran.data["hypervolume"] >= ran.data["started"] > 0
    assert (user / "policy.front.svg").exists()


@pytest.mark.parametrize(("args", "words"), [
    (("--trials", "0"), "at least one trial"),
    (("--sampler", "annealing"), "unknown sampler 'annealing': choose one of linas, loop"),
    (("--storage", "nowhere"), "is no storage: use memory, journal:path"),
    (("--storage", "mysql+no://x/y"), "cannot be used"),
    (("--search-samples", "0"), "at least one sample"),
    (("--budget", "0.1bpw"), "cannot be met"),
    (("--front",), "leave --budget out"),
])
def test_what_cannot_be_is_one_line(user, tool, args, words):
    ran = tool(*WITHIN, *args, cwd=user)
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert not ran.out


def test_a_study_is_about_one_thing(answer, tool):
    folder, _ = answer
    place = ("--storage", "journal:mine.log", "--study", "mine")
    assert tool(*WITHIN, *place, cwd=folder).code == 0
    ran = tool("search", "--budget", "5bpw", "--trials", "8", *SMALL, *place, cwd=folder)
    assert ran.code == 2
    assert "is about another model, data, space, budget or seed" in ran.err
