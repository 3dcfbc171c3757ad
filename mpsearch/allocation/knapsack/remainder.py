"""A problem with most of its groups decided, as a small problem that is exactly equivalent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.table import Table
from mpsearch.allocation.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remainder:
    """The *problem* of the groups that are left open, and the way back to the whole.

    *kept* are the schemes of each of *groups* that are still in play; all others are as in
    *pick*. Groups of one candidate each stand for those: together they lose and cost exactly as
    much, so that objectives and limits stay what they were.
    """

    problem: Problem
    pick: Indices
    groups: Indices
    kept: tuple[Indices, ...]

    @classmethod
    def of(cls, table: Table, pick: Indices, groups: Indices, mask: Mask) -> Remainder:
        """What is left of *table* where only *groups* are open, with their schemes in *mask*."""
        kept = tuple(np.flatnonzero(row) for row in mask)
        decided = np.delete(np.arange(len(pick)), groups)
        columns = [_parts(each[decided, pick[decided]]) for each in (table.losses, *table.costs)]
        least = 0 if groups.size else 1  # a problem has a group
        count = max(least, *map(len, columns))
        rows = [(*(each[group, keep] for group, keep in zip(groups, kept, strict=True)),
                 *(np.array([value]) for value in (*parts, *[0.0] * (count - len(parts)))))
                for each, parts in zip((table.losses, *table.costs), columns, strict=True)]
        problem = Problem(losses=rows[0], costs=tuple(rows[1:]), limits=table.limits,
                          metrics=tuple(str(index) for index in range(len(table.limits))))
        return cls(problem=problem, pick=pick, groups=groups, kept=kept)

    @property
    def size(self) -> int:
        """Candidates of the open groups."""
        return sum(map(len, self.kept))

    def expand(self, choice: Sequence[int]) -> Indices:
        """A *choice* of the small problem as a scheme for every group."""
        pick = self.pick.copy()
        pick[self.groups] = [keep[k] for keep, k in zip(self.kept, choice, strict=False)]
        return pick


def _parts(values: Floats) -> list[float]:
    """A few floats with exactly the same sum."""
    parts: list[float] = []
    listed = values.tolist()
    while True:
        part = math.fsum([*listed, *(-part for part in parts)])
        if not part:
            return parts
        parts.append(part)
