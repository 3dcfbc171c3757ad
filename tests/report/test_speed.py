"""A policy beside the float model: three numbers, and what to make of them."""

from dataclasses import replace

import pytest

from mpsearch.report.speed import Speed, beside, slower

FAST = Speed(backend="integer", batch=1, threads=2, float_ms=40.0, policy_ms=30.0,
              float_bytes=4 << 20, policy_bytes=1 << 20, float_inputs=False)


def test_both_have_a_row():
    grid = beside(FAST)
    assert "batch of 1 on 2 threads, integer backend" in grid.title
    assert [row[1:] for row in grid.rows] == [("4.00 MiB", "40", "1"), ("1.00 MiB", "30", "1.33")]
    assert beside(replace(FAST, policy_bytes=0)).rows[1][1] == "unknown"


@pytest.mark.parametrize(("changed", "said"), [
    ({}, None), ({"policy_ms": 39.0}, "mpsearch profile --provider integer"),
    ({"policy_ms": 50.0}, "mpsearch profile --provider integer"),
    ({"policy_ms": 50.0, "backend": "simulated"}, "--backend integer"),
    ({"policy_ms": 40.0, "float_inputs": True}, "leaves all activations in float"),
])
def test_what_is_not_faster_is_said_in_one_line(changed, said):
    found = slower(replace(FAST, **changed))
    assert len(found) == (said is not None)
    assert all(said in line and "\n" not in line for line in found)
