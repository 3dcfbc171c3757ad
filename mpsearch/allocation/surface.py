"""The front of two costs: the best choices for a grid of limits on both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mpsearch.allocation.problem import Problem
from mpsearch.allocation.rows import undominated
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import BadInput, Infeasible

Allocator = Callable[[Problem], Selection]


def front2(problem: Problem, metrics: tuple[int, int], points: tuple[int, int],
           allocator: Allocator) -> list[Selection]:
    """Selections that no other one matches in both costs and in loss, by rising first cost.

    The epsilon-constraint method (Haimes, Lasdon and Wismer, 1971): *allocator* answers each
    pair of limits on the two *metrics* (indices) from a grid of so many *points* each, evenly from
    floor to ceiling. The problem's other limits stay. A pair that an earlier selection, made for
    limits no tighter, keeps to is not solved again, nor one tighter than limits that could not be
    met together.

    Raises:
        Infeasible: not even the widest limits can be met.
        BadInput: twice the same metric, one that does not exist, or no points.
    """
    first, second = metrics
    count = len(problem.metrics)
    if first == second or not (0 <= first < count and 0 <= second < count):
        raise BadInput(f"a front of two costs needs two of the problem's {count} metrics, counted "
                       f"from 0, not {first} and {second}")
    if min(points) < 1:
        raise BadInput("a front of two costs needs at least one point on each")
    grid = _Grid(problem=problem, metrics=metrics, allocator=allocator)
    axes = [np.linspace(problem.ceiling(m), problem.floor(m), n).tolist()
            for m, n in zip(metrics, points, strict=True)]
    for one in axes[0]:
        for other in axes[1]:
            grid.answer((one, other))
    if not grid.solved:
        raise grid.refused[0][1]
    return _nondominated([selection for _, selection in grid.solved], metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Pairs of limits asked so far, and what they got."""

    problem: Problem
    metrics: tuple[int, int]
    allocator: Allocator
    solved: list[tuple[tuple[float, float], Selection]] = field(default_factory=list)
    refused: list[tuple[tuple[float, float], Infeasible]] = field(default_factory=list)

    def answer(self, limits: tuple[float, float]) -> None:
        """Solve for *limits*, unless the answer is known."""
        if any(_within(limits, asked) for asked, _ in self.refused):
            return
        if any(_within(limits, asked) and _within(self.spent(selection), limits)
               for asked, selection in self.solved):
            return
        problem = self.problem
        for metric, limit in zip(self.metrics, limits, strict=True):
            problem = problem.limited(metric, limit)
        try:
            self.solved.append((limits, self.allocator(problem)))
        except Infeasible as error:
            self.refused.append((limits, error))

    def spent(self, selection: Selection) -> tuple[float, float]:
        """Its costs on the two metrics."""
        first, second = self.metrics
        return selection.costs[first], selection.costs[second]


def _within(values: tuple[float, float], limits: tuple[float, float]) -> bool:
    return values[0] <= limits[0] and values[1] <= limits[1]


def _nondominated(found: Sequence[Selection], metrics: tuple[int, int]) -> list[Selection]:
    columns = [np.array([selection.costs[metric] for selection in found]) for metric in metrics]
    columns.append(np.array([selection.objective for selection in found]))
    kept = [found[index] for index in undominated(columns)]
    return sorted(kept, key=lambda each: (*(each.costs[m] for m in metrics), each.choice))
