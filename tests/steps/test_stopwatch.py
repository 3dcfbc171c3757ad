"""The shortest of many slices, by a clock that only these runs move."""

import pytest

from mpsearch.steps import stopwatch
from mpsearch.steps.stopwatch import SLICE_NS, SLICES, Stopwatch


class Clock:
    """Nanoseconds that pass only when something runs."""

    def __init__(self):
        self.now = 0
        self.ran = []

    def task(self, name, *durations):
        """A run that takes these times in turn, the last one for good."""
        left = list(durations)

        def run():
            self.ran.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(stopwatch.time, "process_time_ns", lambda: made.now)
    monkeypatch.setattr(stopwatch.time, "perf_counter_ns", lambda: -made.now)
    return made


def test_a_time_is_milliseconds_of_one_run(clock):
    watch = Stopwatch([[clock.task("a", 250_000)], [clock.task("b", 4_000_000)]], 1)
    assert watch.round() == [0.25, 4.0]


def test_a_slice_is_as_long_as_it_takes_to_fill(clock):
    watch = Stopwatch([[clock.task("a", 250_000)], [clock.task("b", 4_000_000)]], 1)
    clock.ran.clear()
    watch.round()
    assert clock.ran == (["a"] * (SLICE_NS // 250_000) + ["b"]) * SLICES, "taking turns"


def test_the_shortest_slice_counts(clock):
    slow = [9_000_000] * 5
    watch = Stopwatch([[clock.task("a", *slow, 2_000_000, 7_000_000)]], 1)
    assert watch.round() == [7.0] or watch.round()[0] >= 2.0
    watch = Stopwatch([[clock.task("a", 9_000_000, 9_000_000, 9_000_000, 2_000_000, 7_000_000)]],
                      1)
    assert watch.round() == [2.0]


def test_copies_take_turns(clock):
    watch = Stopwatch([[clock.task("a", 500_000), clock.task("b", 500_000),
                        clock.task("c", 500_000)]], 1)
    clock.ran.clear()
    watch.round()
    order = "".join(clock.ran)
    assert order in "abcabcabcabc", order


def test_several_threads_go_by_the_wall(clock):
    assert Stopwatch([[clock.task("a", 1_000_000)]], 2).round() == [-1.0]
