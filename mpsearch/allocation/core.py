"""The problem in the form that bounds and sweeps work on: shifted losses and integer costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.fixed import Ints, Mask, carry, fixed_point, total
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Core:
    """The candidates of a problem that are still in play.

    *table* and *caps* are the problem's costs and limits in fixed point. *kept* maps each group's
    positions here to its candidates there; *losses* and *costs* (candidates by metrics by limbs)
    are theirs less the group's smallest, *room* is what the limits leave above the smallest costs
    and *base* the sum of the smallest losses.
    """

    problem: Problem
    table: tuple[Ints, ...]
    caps: Ints
    kept: tuple[NDArray[np.intp], ...]
    losses: tuple[Row, ...]
    costs: tuple[Ints, ...]
    room: Ints
    base: float

    @classmethod
    def of(cls, problem: Problem) -> Core:
        """Every candidate of *problem*, each of whose limits must lie below its ceiling."""
        sizes = [row.size for row in problem.losses]
        costs, caps = fixed_point(problem.costs, problem.limits, sum(sizes))
        return cls._of(problem, tuple(np.split(costs, np.cumsum(sizes)[:-1])), caps,
                       tuple(np.arange(size) for size in sizes))

    def keep(self, masks: Sequence[Mask]) -> Core:
        """The core with only the candidates that *masks*, one a group, let through."""
        kept = tuple(row[mask] for row, mask in zip(self.kept, masks, strict=True))
        return self._of(self.problem, self.table, self.caps, kept)

    @classmethod
    def _of(cls, problem: Problem, table: tuple[Ints, ...], caps: Ints,
            kept: tuple[NDArray[np.intp], ...]) -> Core:
        losses = [row[keep] for row, keep in zip(problem.losses, kept, strict=True)]
        costs = [row[keep] for row, keep in zip(table, kept, strict=True)]
        least = [_least(row) for row in costs]
        return cls(problem=problem, table=table, caps=caps, kept=kept,
                   losses=tuple(row - row.min() for row in losses),
                   costs=tuple(carry(row - low) for row, low in zip(costs, least, strict=True)),
                   room=carry(caps - total(np.stack(least))),
                   base=math.fsum(float(row.min()) for row in losses))

    @property
    def open(self) -> list[int]:
        """The groups that still have a decision to make."""
        return [group for group, row in enumerate(self.kept) if row.size > 1]

    @property
    def size(self) -> int:
        """Candidates of the open groups."""
        return sum(self.kept[group].size for group in self.open)

    def lifted(self, wider: Core) -> float:
        """How much higher the base is than that of the *wider* core this one was cut from."""
        rows = zip(self.problem.losses, self.kept, wider.kept, strict=True)
        return math.fsum(float(row[here].min() - row[there].min()) for row, here, there in rows)

    def choice(self, positions: Sequence[int]) -> tuple[int, ...]:
        """The problem's candidates that stand at these *positions*."""
        return tuple(int(row[p]) for row, p in zip(self.kept, positions, strict=True))

    def least(self) -> tuple[int, ...]:
        """The problem's candidates of least loss, whatever they cost."""
        return self.choice([int(row.argmin()) for row in self.losses])

    def positions(self, choice: Sequence[int]) -> list[int]:
        """Where the candidates of a *choice* of the problem stand here."""
        return [int(np.searchsorted(row, k)) for row, k in zip(self.kept, choice, strict=True)]

    def excess(self, choice: Sequence[int]) -> float:
        """Loss of a *choice* of the problem above *base*."""
        pairs = zip(self.losses, self.positions(choice), strict=True)
        return math.fsum(float(row[p]) for row, p in pairs)


def _least(costs: Ints) -> Ints:
    """The smallest cost on each metric (metrics by limbs)."""
    if costs.shape[-1] == 1:
        return np.asarray(costs.min(axis=0))
    ranks = [int(np.lexsort(column.T[::-1])[0]) for column in costs.swapaxes(0, 1)]
    return np.stack([costs[rank, metric] for metric, rank in enumerate(ranks)])
