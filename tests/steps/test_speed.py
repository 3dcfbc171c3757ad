"""Times of a policy beside the float model, by a clock that stands still."""

import itertools
from types import SimpleNamespace

import pytest

from mpsearch.graph.laps import laps, mark
from mpsearch.steps import speed


@pytest.fixture
def clock(monkeypatch):
    import mpsearch.graph.laps as own

    made = SimpleNamespace(now=0)
    monkeypatch.setattr(own.time, "perf_counter_ns", lambda: made.now)
    return made


def runner(clock, passes, *, tells=True):
    """Runs whose parts take these milliseconds in turn."""
    left = itertools.cycle(passes)

    def run():
        for number, part in enumerate(next(left)):
            clock.now += part * 1_000_000
            if tells:
                mark(str(number))

    return run


def test_the_shortest_time_of_every_part_counts(clock):
    runs = [runner(clock, [(1, 9), (5, 2), (3, 4), (4, 4)]), runner(clock, [(1, 1)])]
    assert speed._beside(runs, 0.0) == [3 + 2, 2], "the first run only warms up"


def test_what_tells_no_parts_is_timed_as_a_whole(clock):
    runs = [runner(clock, [(9, 9), (5, 2), (3, 3), (1, 8)]),
            runner(clock, [(1, 1)], tells=False)]
    assert speed._beside(runs, 0.0) == [6, 2]


def test_laps_are_told_in_order_and_only_inside(clock):
    mark("before")
    with laps() as done:
        clock.now += 5
        mark("a")
        clock.now += 7
        mark("b")
    mark("after")
    assert done == [("a", 5), ("b", 7)]
