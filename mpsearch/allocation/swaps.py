"""Exact changes of one or two groups' candidates: bring a choice within its limits, improve it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Ints, Mask, carry, total, within

_BLOCK = 1 << 20  # pairs of moves looked at together
_NONE = -1


def improve(core: Core, choice: Sequence[int]) -> tuple[int, ...]:
    """Take the best change of one or two groups for as long as one lowers the loss.

    *choice* keeps to the limits, and so does what comes back.
    """
    current = tuple(choice)
    while True:
        moves = _Moves.of(core, current)
        best = moves.best(moves.loss < 0)
        changed = current if best is None else moves.made(best)
        problem = core.problem
        if not problem.objective(changed) < problem.objective(current) or (
                not problem.meets(changed)):
            return current
        current = changed


def repair(core: Core, choice: Sequence[int]) -> tuple[int, ...] | None:
    """Bring *choice* within the limits by the changes that cost least loss; None if none does."""
    current = tuple(choice)
    for _ in core.open:
        if core.problem.meets(current):
            return current
        moves = _Moves.of(core, current)
        over = moves.slack[:, 0] < 0
        best = moves.best(np.any(moves.cost[:, over, 0] < 0, axis=1))
        if best is None:
            best = moves.nearest()
        if best is None:
            return None
        current = moves.made(best)
    return current if core.problem.meets(current) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Moves:
    """Every change of one group: which, to what position, and what it adds in loss and cost.

    The first move changes nothing, so that a pair with it is a single move. *slack* is
    what the limits leave over now, negative where they are exceeded.
    """

    core: Core
    positions: list[int]
    group: NDArray[np.intp]
    pick: NDArray[np.intp]
    loss: Floats
    cost: Ints
    slack: Ints

    @classmethod
    def of(cls, core: Core, choice: Sequence[int]) -> _Moves:
        positions = core.positions(choice)
        moves = [(g, k) for g in core.open for k in range(core.losses[g].size)]
        nothing = np.zeros((1, *core.room.shape), dtype=np.int64)
        here = list(zip(core.open, (positions[g] for g in core.open), strict=True))
        loss = [core.losses[g] - core.losses[g][p] for g, p in here]
        cost = [carry(core.costs[g] - core.costs[g][p]) for g, p in here]
        spent = total(np.stack([nothing[0], *(core.costs[g][p] for g, p in here)]))
        group, pick = np.array([(_NONE, 0), *moves], dtype=np.intp).T
        return cls(core=core, positions=positions, group=group, pick=pick,
                   loss=np.concatenate([np.zeros(1), *loss]),
                   cost=np.concatenate([nothing, *cost]),
                   slack=carry(core.room - spent))

    def best(self, first: Mask) -> list[int] | None:
        """The one or two moves of least loss that end within the limits, one of them in *first*."""
        found: tuple[float, list[int]] | None = None
        rows = np.flatnonzero(first)
        for block in np.array_split(rows, max(1, -(-rows.size * self.loss.size // _BLOCK))):
            fits = self.group[block, None] != self.group[None]
            fits &= within(carry(self.cost[block, None] + self.cost[None]), self.slack)
            pairs = np.where(fits, self.loss[block, None] + self.loss[None], np.inf)
            if pairs.size and (found is None or pairs.min() < found[0]):
                i, j = np.unravel_index(int(pairs.argmin()), pairs.shape)
                found = float(pairs.min()), [int(block[i]), int(j)]
        return found[1] if found is not None and np.isfinite(found[0]) else None

    def nearest(self) -> list[int] | None:
        """The move that takes off most of what exceeds the limits, as a share of each."""
        share = 1 / np.maximum(1.0, np.abs(self.core.room[:, 0]))
        left = carry(self.cost - self.slack)[..., 0]
        gain = np.maximum(0, -self.slack[:, 0]) @ share - np.maximum(0, left) @ share
        return [int(gain.argmax())] if gain.size and gain.max() > 0 else None

    def made(self, moves: Sequence[int]) -> tuple[int, ...]:
        """The choice after these *moves*."""
        positions = list(self.positions)
        for move in (move for move in moves if self.group[move] != _NONE):
            positions[self.group[move]] = int(self.pick[move])
        return self.core.choice(positions)
