"""The shortest of many short slices: times that hold on a machine with other things to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice

Run = Callable[[], object]
SLICE_NS = 1_000_000
SLICES = 3
_NS_PER_MS = 1e6


class Stopwatch:
    """Times *tasks* in rounds, a few slices of about a millisecond each, taking turns.

    A task is what runs in turn: copies of one operation, each with weights of its own. On one
    thread the clock is the process's CPU time, which what else runs on the machine does not reach;
    on several it is the wall's.
    """

    def __init__(self, tasks: Sequence[Sequence[Run]], threads: int) -> None:
        self._turns = [cycle(copies) for copies in tasks]
        self._clock = time.process_time_ns if threads == 1 else time.perf_counter_ns
        self._counts = [self._count(turn, len(copies))
                        for turn, copies in zip(self._turns, tasks, strict=True)]

    def round(self) -> list[float]:
        """The shortest time of each task in this round, in milliseconds."""
        best = [float("inf")] * len(self._turns)
        for _ in range(SLICES):
            for number, (turn, count) in enumerate(zip(self._turns, self._counts, strict=True)):
                best[number] = min(best[number], self._slice(turn, count) / count / _NS_PER_MS)
        return best

    def _count(self, turn: cycle[Run], copies: int) -> int:
        """Runs that fill a slice, found on warm copies."""
        self._slice(turn, copies)
        once = max(1, self._slice(turn, 1))
        return max(1, min(1000, SLICE_NS // once))

    def _slice(self, turn: cycle[Run], count: int) -> int:
        runs = list(islice(turn, count))
        start = self._clock()
        for run in runs:
            run()
        return self._clock() - start
