"""`pareto`: the whole front from saved scores, and a handful of measured points."""

import itertools

import pytest

from mpsearch.report.front import load_front


def test_the_front_falls_as_it_grows(tool, measured_digits, few):
    data = tool("pareto", "--no-measure", "--json", *few, cwd=measured_digits).data
    points = data["predicted"]
    assert 10 < len(points) <= 25
    for left, right in itertools.pairwise(points):
        assert left["size_bits"] < right["size_bits"]
        assert left["predicted_loss"] > right["predicted_loss"]
    assert data["measured"] == []
    assert data["files"] == ["pareto.json"], "numbers at once; pictures take longer to draw"
    assert load_front(measured_digits / "pareto.json").estimator == "kl_probe"
    budget, = tool("allocate", "-b", "9bpw", "--no-verify", "--json", *few,
                   cwd=measured_digits).data["budgets"]
    assert points[0]["bits_per_weight"] == budget["floor"]


def test_it_measures_a_handful_and_the_uniform_ones(tool, user, mine):
    data = tool("pareto", "--json", *mine, cwd=user).data
    kinds = [point["kind"] for point in data["measured"]]
    assert kinds.count("uniform") == 6, "one for each width of the space"
    assert 3 <= kinds.count("allocated") <= 6
    assert all(point["evaluation"]["samples"] == 32 for point in data["measured"])
    assert data["files"] == ["pareto.json", "pareto.png", "pareto.svg"]


def test_it_measures_at_the_budgets_asked_for(tool, user, mine):
    data = tool("pareto", "--budget", "4bpw", "--budget", "6bpw", "--json", *mine, cwd=user).data
    low, high = (point for point in data["measured"] if point["kind"] == "allocated")
    assert 3 < low["bits_per_weight"] <= 4
    assert 5 < high["bits_per_weight"] <= 6


@pytest.mark.parametrize("output", ["front.png", "front.svg", "sub/front.v2"])
def test_no_file_overwrites_another(tool, user, mine, output):
    data = tool("pareto", "--no-measure", "--picture", "--json", "--output", output, *mine,
                cwd=user).data
    assert len(set(data["files"])) == len(data["files"]) == 3
    json_file, png, svg = (user / name for name in data["files"])
    assert load_front(json_file).predicted
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()
