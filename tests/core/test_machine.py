"""Machine tables: what a row may say, and how tables join."""

import math

import pytest

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.machine import MachineTable, Peak, Timing, told


def timing(milliseconds=1.0, **changed):
    return Timing(**{"operation": "linear", "shape": "1x4*8x4>1x8", "scheme": "W4s/channel",
                     "batch": 1, "threads": 1, "milliseconds": milliseconds, **changed})


def table(*rows, **changed):
    return MachineTable(**{"device": "box", "provider": "float", "cpu": "a cpu",
                           "origin": "measured", "versions": {"torch": "2"}, "rows": rows,
                           **changed})


@pytest.mark.parametrize("time", [-1e-9, math.nan, math.inf, -math.inf])
def test_a_time_is_finite_and_not_negative(time):
    with pytest.raises(BadInput, match="a time is a finite number"):
        timing(time)


@pytest.mark.parametrize("changed", [{"batch": 0}, {"threads": 0}, {"batch": -2}])
def test_batch_and_threads_are_positive(changed):
    with pytest.raises(BadInput, match="at least 1"):
        timing(**changed)


def test_a_row_twice_is_refused_by_name():
    with pytest.raises(BadInput, match=r"two times for linear 1x4.*W4s/channel .batch 1, 1 thread"):
        table(timing(), timing(2.0))
    assert len(table(timing(), timing(batch=2), timing(threads=2)).rows) == 3


def test_new_rows_take_the_place_of_old_ones_and_rows_are_sorted():
    joined = table(timing(), timing(3.0, scheme="W2s/channel")).with_rows(
        [timing(2.0), timing(5.0, operation="add")])
    assert [row.milliseconds for row in joined.rows] == [5.0, 3.0, 2.0]
    assert joined.times[timing().key] == 2.0


def test_tables_join_for_one_machine_only():
    one = table(timing())
    assert one.same_machine(table())
    for changed in ({"cpu": "another"}, {"versions": {}}, {"provider": "x"}, {"device": "y"}):
        assert not one.same_machine(table(**changed))


def test_a_table_is_saved_and_read_whole(tmp_path):
    whole = table(timing(), peaks=(Peak(threads=1, gflops=1.5, gbytes=2.5),), fusions=("a+b",),
                  packed=False)
    io.save(tmp_path / "t.json", whole)
    assert io.load(tmp_path / "t.json", MachineTable) == whole


def test_several_threads_are_told_in_the_plural():
    assert told(timing(threads=2).key).endswith("(batch 1, 2 threads)")
