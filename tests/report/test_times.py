"""Times as they are printed: with few schemes, with many, and with none."""

from mpsearch.cost.bounds import Limits
from mpsearch.report.times import LayerTime, OtherTime, Timeline, data, findings, times, undecided

FAST = LayerTime(layer="fast", shape="s", times={"W4": 1.0, "W8": 3.0}, intensity=2.5,
                 bound="bandwidth")
SAME = LayerTime(layer="same", shape="s", times={"W4": 2.0, "W8": 2.1}, intensity=50.0,
                 bound="compute")
LINE = Timeline(batch=1, threads=2, layers=(FAST, SAME), limits=Limits(gops=10.0, gbytes=2.0),
                others=(OtherTime(operation="gelu", runs=2, milliseconds=1.0),))


def test_a_row_a_layer_and_one_for_each_other_operation():
    grid = times(LINE)
    assert [column.name for column in grid.columns] == [
        "layer", "W4", "W8", "share", "ops/byte", "bound by"]
    assert grid.rows == (("fast", "1", "3", "25.0 %", "2.5", "bandwidth"),
                         ("same", "2", "2.1", "50.0 %", "50", "compute"),
                         ("gelu (2 times)", "1", "", "25.0 %", "", ""))
    assert "on 2 threads (share of 4 ms" in grid.title


def test_many_schemes_are_shown_as_a_range():
    many = LayerTime(layer="a", shape="s", times={f"W{n}": float(n) for n in range(2, 14)},
                     intensity=1.0, bound=None)
    grid = times(Timeline(batch=1, threads=1, layers=(many,), others=(), limits=None))
    assert [column.name for column in grid.columns][1:3] == ["fastest", "slowest"]
    assert grid.rows[0][1:3] == ("2", "13")


def test_nothing_timed_is_a_table_of_dashes():
    none = LayerTime(layer="a", shape="s", times={}, intensity=0.0, bound=None)
    grid = times(Timeline(batch=1, threads=1, layers=(none,), others=(), limits=None))
    assert grid.rows == (("a", "-", "-", "0", "-"),)


def test_findings_name_what_is_bound_by_memory_and_where_bits_buy_nothing():
    first, second = findings(LINE, packed=True)
    assert ("1 of 2 layers (fast) is bandwidth-bound, where fewer bits to read can save time"
            in first)
    assert "1 of 2 layers (same) is compute-bound" in first
    assert "0 of 2 layers are mostly overhead" in first
    assert second.startswith("in 1 of 2 layers with a choice every scheme takes the same time")
    assert "save time" not in findings(LINE, packed=False)[0]


def test_without_peaks_nothing_is_said_about_bounds():
    line = Timeline(batch=1, threads=1, layers=(FAST,), others=(), limits=None)
    assert findings(line, packed=True) == [
        "what bounds the layers is not known: the table has no measured peaks"]


def test_the_same_as_plain_data():
    found = data(LINE, packed=True)
    assert found["milliseconds"] == 4.0
    assert [row["undecided"] for row in found["layers"]] == [False, True]
    assert found["gflops"] == 10.0


def test_what_a_latency_alone_leaves_open():
    assert "26 of 30 groups" in undecided(26, 30, "host")
