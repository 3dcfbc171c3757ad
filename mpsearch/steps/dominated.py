"""What a search for a front has found so far: points, and how much they dominate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mpsearch.nas.hypervolume import Point, hypervolume, nondominated
from mpsearch.nas.record import Record
from mpsearch.nas.task import LOSS, Task
from mpsearch.report.units import number

_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Dominated:
    """Which records no other one beats, and the *hypervolume* that all dominate.

    *started* is that of what the search began with, *reference* the worst value of each objective;
    a loss counts by its logarithm to base 10.
    """

    kept: tuple[int, ...]
    hypervolume: float
    started: float
    reference: Point

    @property
    def words(self) -> str:
        """As the progress of a search has it."""
        gained = (f" ({100 * (self.hypervolume / self.started - 1):.2f} % above its starts)"
                  if self.started else "")
        return f"hypervolume {number(self.hypervolume)}{gained}"


def dominated(task: Task, found: Sequence[Record]) -> Dominated:
    """What *found*, complete trials of *task*, come to."""
    signs = [1.0 if direction == "minimize" else -1.0 for direction in task.directions]
    points = [tuple(sign * _scaled(name, value) for sign, name, value in
                    zip(signs, task.objectives, each.values, strict=True)) for each in found]
    kept = nondominated(points)
    front = [points[i] for i in kept]
    begun = [point for point, each in zip(points, found, strict=True)
             if each.ticket < len(task.starts)]
    reference = tuple(max(values) for values in zip(*points, strict=True))
    return Dominated(
        kept=tuple(kept), hypervolume=hypervolume(front, reference),
        started=hypervolume(begun, reference),
        reference=tuple(sign * value for sign, value in zip(signs, reference, strict=True)))


def _scaled(name: str, value: float) -> float:
    """Losses by their logarithm to base 10: a front goes over many decades of them."""
    return math.log10(max(value, _TINY)) if name == LOSS else value
