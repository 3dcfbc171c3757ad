"""Budgets that cannot be read, met or measured."""

import pytest

from mpsearch.core import io
from mpsearch.report.surface import Surface

UNREADABLE = ["", "4.5", "bpw", "4 bits", "-3bpw", "0bpw", "nanbpw", "1e999bpw"]


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_unreadable_budget_is_shown_with_how_to_write_it(refused, tmp_path, text):
    line = refused("allocate", f"--budget={text}", cwd=tmp_path)
    assert f"'{text}'" in line
    assert "4.5bpw" in line


def test_no_budget_is_refused_before_anything_is_measured(refused, tmp_path):
    assert "give at least one budget" in refused("allocate", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_latency_is_refused_before_anything_is_measured(refused, tmp_path):
    assert "latency" in refused("allocate", "--budget", "8ms", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["2bpw", "0.2KB", "300B", "0.0001MiB", "1kBOPs", "1e-7TBOPs"])
def test_the_floor_that_is_named_can_be_typed_and_met(refused, tool, user, mine, text):
    line = refused("allocate", "--budget", text, *mine, cwd=user)
    floor = line.partition("the floor of this space is ")[2].partition(";")[0]
    assert text in line
    assert floor.lstrip("0123456789.e-") == text.lstrip("0123456789.e-"), "in the unit asked in"
    ran = tool("allocate", "--budget", floor, "--no-verify", "--json", *mine, cwd=user)
    budget, = ran.data["budgets"]
    assert budget["achieved"] <= budget["requested"]
    assert budget["requested"] <= 1.01 * budget["floor"], "the floor is said to three digits"


def test_a_budget_of_whole_bytes_just_below_the_floor_is_refused(refused, tool, user, mine):
    smallest = tool("allocate", "--budget", "100KB", "--no-verify", "--json", *mine,
                    cwd=user).data["budgets"][0]["floor"]
    below = int(smallest) - 1
    assert "cannot be met" in refused("allocate", "-b", f"{below}B", *mine, cwd=user)


def test_two_budgets_that_exclude_each_other(refused, tool, user, mine):
    """Each can be met alone: 3 bits a weight, and few operations by fewer activation bits."""
    (user / "either.toml").write_text("""
        [[rule]]
        kind = ["conv", "linear"]
        weight = { bits = [2, 8] }
        input = { bits = [8, 4] }
        [[rule]]
        layer = "0"
        weight = [{ bits = 2, granularity = "group:1" }, { bits = 8, granularity = "tensor" }]
    """)
    either = ("--space", "either.toml", *mine)
    ends = tool("allocate", "-b", "1GB", "--no-verify", "--json", *either, cwd=user).data
    size = ends["budgets"][0]
    operations = tool("allocate", "-b", "1TBOPs", "--no-verify", "--json", *either,
                      cwd=user).data["budgets"][0]
    texts = [f"{size['floor']:.0f}B", f"{operations['floor']:.0f}BOPs"]
    for text in texts:
        assert tool("allocate", "-b", text, "--no-verify", *either, cwd=user).code == 0
    (user / "policy.json").unlink()
    line = refused("allocate", "-b", texts[0], "-b", texts[1], *either, cwd=user)
    assert all(text in line for text in texts), "the budgets as they were typed"
    assert "together" in line


def test_several_budgets_all_hold(tool, user, mine):
    ran = tool("allocate", "-b", "5bpw", "-b", "700kBOPs", "-b", "6.3KB", "--json", *mine, cwd=user)
    assert [row["budget"] for row in ran.data["budgets"]] == ["5bpw", "700kBOPs", "6.3KB"]
    for row in ran.data["budgets"]:
        assert row["floor"] <= row["achieved"] <= row["requested"]


def test_a_front_says_which_of_its_budgets_is_out_of_reach(refused, user, mine):
    line = refused("pareto", "-b", "5bpw", "-b", "1bpw", *mine, cwd=user)
    assert "1bpw" in line


def test_a_front_takes_bits_per_weight_only(refused, tmp_path):
    assert "3MiB" in refused("pareto", "-b", "3MiB", cwd=tmp_path)


def test_two_budgets_have_prices_and_the_front_of_both_costs(tool, user, mine):
    ran = tool("allocate", "-b", "5bpw", "-b", "700kBOPs", "--json", *mine, cwd=user)
    assert [row["budget"] for row in ran.data["prices"]] == ["5bpw", "700kBOPs"]
    assert [row["unit"] for row in ran.data["prices"]] == ["nats/KiB", "nats/GBOP"]
    assert max(row["price"] for row in ran.data["prices"]) > 0
    assert min(row["slack"] for row in ran.data["prices"]) >= 0
    assert ran.data["files"][-3:] == ["policy.costs.json", "policy.costs.png", "policy.costs.svg"]
    surface = io.load(user / "policy.costs.json", Surface)
    inside = [point for point in surface.points
              if point.x <= surface.limits[0] and point.y <= surface.limits[1]]
    assert len(surface.points) > len(inside) > 0
    assert surface.chosen.loss <= min(point.loss for point in inside)
