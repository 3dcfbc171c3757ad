"""Exact changes of one or two groups' candidates where groups change each other's losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Ints, carry, total, within

Indices = NDArray[np.intp]
_BLOCK = 1 << 19  # pairs of moves looked at together
_SCANS = 4000  # blocks looked at before the search gives up
_LEAST = 1e-13  # share of the losses in play below which a gain may be rounding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Landscape:
    """A core's losses and interactions, one column a candidate of every group.

    *pairs* has what two columns add together (a forbidden pair more than any choice can gain),
    *factor* is the problem's, without rows where it has none. *owner* is each column's group.
    """

    core: Core
    losses: Floats
    costs: Ints
    owner: Indices
    starts: Indices
    factor: Floats
    pairs: Any
    least: float

    @classmethod
    def of(cls, core: Core) -> Landscape:
        """The landscape of a whole *core*, of which nothing was dropped."""
        sizes = [row.size for row in core.losses]
        starts = np.cumsum([0, *sizes])[:-1]
        losses = np.concatenate(core.losses)
        problem = core.problem
        factor = problem.factor if problem.factor is not None else np.zeros((0, losses.size))
        pairs, span = _matrix(core, starts, float(np.abs(losses).sum()) + 4 * _span(factor, sizes))
        return cls(core=core, losses=losses, costs=np.concatenate(core.costs), starts=starts,
                   owner=np.repeat(np.arange(len(sizes)), sizes), factor=factor, pairs=pairs,
                   least=_LEAST * span)

    def gains(self, columns: Indices) -> Floats:
        """What the loss changes by if a group takes another column; *columns* are those taken."""
        taken = columns[self.owner]
        field = self.losses + self.pairs[:, columns].sum(axis=1)
        field += 2 * (self.factor[:, columns].sum(axis=1) @ self.factor)
        beside = self.factor - self.factor[:, taken]
        own = 2 * np.einsum("rn,rn->n", beside, self.factor[:, taken])
        return np.asarray(field - field[taken] - own)

    def value(self, choice: Sequence[int]) -> float:
        """Loss of a *choice* above the core's base, with ordinary rounding."""
        columns = self.starts + np.asarray(choice, dtype=np.intp)
        own = self.factor[:, columns]
        crossed = float((own.sum(axis=1) ** 2).sum() - (own**2).sum())
        return float(self.losses[columns].sum()) + crossed + float(
            self.pairs[columns][:, columns].sum()) / 2

    def crossed(self, rows: Indices, taken: Indices) -> Floats:
        """What two changes add to the sum of their gains: *rows* by all columns."""
        change = self.factor - self.factor[:, taken]
        block = (self.pairs[rows] - self.pairs[taken[rows]]).toarray()
        return np.asarray(2 * change[:, rows].T @ change + block - block[:, taken])

    def improve(self, choice: Sequence[int]) -> tuple[int, ...]:
        """Take changes of one or two groups for as long as one lowers the loss.

        *choice* keeps to the limits and has no forbidden pair, and so does what comes back.
        """
        columns = self.starts + np.asarray(choice, dtype=np.intp)
        rows = max(1, _BLOCK // self.losses.size)
        blocks = np.array_split(np.arange(self.losses.size), -(-self.losses.size // rows))
        idle = 0
        for scan in range(_SCANS):
            moves = self._best(columns, blocks[scan % len(blocks)])
            idle = idle + 1 if moves is None else 0
            if moves is not None:
                for move in moves:
                    columns[self.owner[move]] = move
            elif idle >= len(blocks):
                break
        return tuple((columns - self.starts).tolist())

    def _best(self, columns: Indices, rows: Indices) -> tuple[int, int] | None:
        """The best one or two changes, one of them in *rows*; None if none lowers the loss."""
        taken = columns[self.owner]
        gains, costs = self.gains(columns), carry(self.costs - self.costs[taken])
        slack = carry(self.core.room - total(self.costs[columns]))
        # A column that is taken already changes nothing, so that single changes are among these.
        loss = gains[rows, None] + gains[None] + self.crossed(rows, taken)
        same = self.owner[rows, None] == self.owner[None]
        loss[same] = np.inf
        loss[np.arange(rows.size), taken[rows]] = gains[rows]
        hopeful = np.argwhere(loss < -self.least)
        i, j = rows[hopeful[:, 0]], hopeful[:, 1]
        fits = within(carry(costs[i] + costs[j]), slack)
        if not fits.any():
            return None
        value = np.where(fits, loss[hopeful[:, 0], j], np.inf)
        best = int(value.argmin())
        return int(j[best]), int(i[best])


def _matrix(core: Core, starts: Indices, span: float) -> tuple[Any, float]:
    """All pairs as a symmetric matrix, and the span of losses, from that of everything else."""
    rows, columns, values = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0)]
    for pair in core.problem.pairs:
        a, b = np.indices(pair.values.shape)
        rows.append((starts[pair.first] + a).ravel())
        columns.append((starts[pair.second] + b).ravel())
        values.append(pair.values.ravel())
        span += 2 * float(np.abs(pair.values[np.isfinite(pair.values)]).max(initial=0.0))
    value = np.concatenate(values)
    value[np.isinf(value)] = 4 * span + 1
    row, column = np.concatenate(rows), np.concatenate(columns)
    size = sum(row.size for row in core.losses)
    from scipy.sparse import csr_array  # late: most problems have no interactions

    half = csr_array((value, (row, column)), shape=(size, size))
    return csr_array(half + half.T), span


def _span(factor: Floats, sizes: Sequence[int]) -> float:
    """No choice has more interactions than this from a *factor*."""
    if not len(factor):
        return 0.0
    norms = np.sqrt((factor**2).sum(axis=0))
    return float(np.maximum.reduceat(norms, np.cumsum([0, *sizes])[:-1]).sum()) ** 2
