"""A table's groups that are still open, in the form in which several budgets are priced."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.reference import exact_sum
from mpsearch.allocation.knapsack.table import Table

_EXACT = 2.0**51  # sums of whole numbers up to here are exact, and so are their differences
_FEW = 64  # groups whose costs tell whether there is a common divisor to look for
_ROUNDING = 64 * np.finfo(float).eps  # of a sum by halves, and of what it is made of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """Choices of a *table* in which only *groups* are open; the others are as in *decided*.

    *losses* (groups, schemes) are above the group's least, infinite for schemes out of play, and
    *costs* (metrics, groups, schemes) above those of the first scheme. *value* is the loss of the
    decided groups and *over* what is spent above each limit with the first scheme in open groups.
    *spread* is what the costs of all groups can differ by in sum. All in scaled units. What
    choices can spend more or less differs by multiples of *steps* (0: by anything), and limits
    are lowered accordingly.
    """

    table: Table
    groups: Indices
    decided: Indices
    losses: Floats
    costs: Floats
    value: float
    over: Floats
    spread: Floats
    steps: Floats

    @classmethod
    def of(cls, table: Table) -> Space:
        """All choices of *table*."""
        losses, costs = table.scaled
        first = costs[:, :, :1]
        limits = np.array([table.limit(m) for m in range(len(costs))])
        relative, finite = costs - first, np.isfinite(losses)
        steps = np.array([_step(*each, finite) for each in zip(costs, relative, strict=True)])
        room = limits + np.spacing(np.abs(limits)) - first.sum(axis=(1, 2))
        return cls(table=table, groups=np.arange(len(losses)),
                   decided=np.zeros(len(losses), dtype=np.int64),
                   losses=losses - losses.min(axis=1)[:, None], costs=relative, value=0.0,
                   over=-_lowered(room, steps), steps=steps,
                   spread=(costs.max(axis=2) - costs.min(axis=2)).sum(axis=1))

    def plane(self, pick: Indices) -> tuple[float, Floats]:
        """Loss of a choice of the open groups, and what it spends above the limits; rounded."""
        at = np.arange(0, self.losses.size, self.losses.shape[1]) + pick
        return (self.value + float(self.losses.ravel().take(at).sum()),
                self.over + [float(costs.ravel().take(at).sum()) for costs in self.costs])

    @property
    def most(self) -> float:
        """The most that the open groups can lose."""
        return float(np.where(np.isfinite(self.losses), self.losses, 0.0).max(axis=1).sum())

    def full(self, pick: Indices) -> Indices:
        """A choice of the open groups as one of all groups."""
        whole = self.decided.copy()
        whole[self.groups] = pick
        return whole

    @property
    def limits(self) -> Floats:
        """Magnitudes of the limits."""
        return np.abs([self.table.limit(m) for m in range(len(self.over))])

    def rests(self, pick: Indices) -> Floats:
        """What a choice of all groups leaves under each limit, never too little but rounded."""
        rows = np.arange(len(pick))
        rests = [-exact_sum(costs[rows, pick], -limit, -math.ulp(limit)) for costs, limit in zip(
            self.table.scaled[1], map(self.table.limit, range(len(self.over))), strict=True)]
        return _lowered(np.array(rests), self.steps)

    def meets(self, pick: Indices) -> bool:
        """Whether a choice of all groups keeps to every limit."""
        rows = np.arange(len(pick))
        return all(exact_sum(costs[rows, pick]) <= limit for costs, limit in zip(
            self.table.costs, self.table.limits, strict=True))

    def excess(self, pick: Indices, groups: Indices | slice = slice(None)) -> float:
        """Loss of a choice of all groups above the least of each, correctly rounded.

        Only that of some *groups* where these are given.
        """
        losses, mine = self.table.scaled[0][groups], pick[groups]
        return exact_sum(losses[np.arange(len(mine)), mine] - losses.min(axis=1))

    def allowance(self, value: float, rest: Floats, prices: Floats) -> float:
        """What rounding may take of a bound or a sum of gaps at these *prices*."""
        weight = value + float(np.abs(prices * rest).sum()) + 2 * float(prices @ self.spread)
        return _ROUNDING * weight + float(np.finfo(float).tiny)

    def only(self, groups: Indices, mask: Mask, pick: Indices) -> Space:
        """The space in which the open groups not in *groups* (their places) are as in *pick*.

        Of those that stay, only schemes in *mask* (groups, schemes) are in play. The value is
        summed anew, so that it is rounded once however often a space is made from another.
        """
        fixed = np.delete(np.arange(len(pick)), groups)
        over = replace(self, losses=self.losses[fixed], costs=self.costs[:, fixed],
                       ).plane(pick[fixed])[1]
        decided, open_ = self.full(pick), self.groups[groups]
        value = self.excess(decided, np.delete(np.arange(len(decided)), open_))
        losses = np.where(mask, self.losses[groups], np.inf)
        return replace(self, groups=open_, decided=decided, losses=losses, value=value, over=over,
                       costs=np.ascontiguousarray(self.costs[:, groups]))

    def split(self, group: int, mask: Mask) -> tuple[Space, Space]:
        """The space with only the schemes in *mask* in an open group (its place), and the rest."""
        halves = []
        for side in (mask, ~mask):
            losses = self.losses.copy()
            losses[group, ~side] = np.inf
            halves.append(replace(self, losses=losses))
        return halves[0], halves[1]


def lightest(losses: Floats, costs: Floats, prices: Floats, room: Floats | None = None) -> Indices:
    """Each group's best scheme at these *prices*, the first of equal ones.

    *losses* have the axes (groups, schemes) and *costs* (metrics, groups, schemes). *room* is for
    two tables in between: fresh memory costs more time than what is done with it.
    """
    weighed, part = np.empty((2, *losses.shape)) if room is None else room
    weighed[...] = losses
    for price, table in zip(prices.tolist(), costs, strict=True):
        if price:
            weighed += np.multiply(table, price, out=part)
    return np.asarray(weighed.argmin(axis=1))


def _lowered(rests: Floats, steps: Floats) -> Floats:
    """What is left under each limit, as a multiple of its step where it has one."""
    whole = np.where(steps > 0, steps, 1.0)
    return np.where(steps > 0, np.floor(rests / whole) * whole, rests)


def _step(costs: Floats, relative: Floats, finite: Mask) -> float:
    """What all costs (groups, schemes) *relative* to the first scheme's are multiples of, or 0.

    Only whole numbers are looked at whose sums are exact.
    """
    if not float(np.abs(costs).max()) * len(costs) < _EXACT or (costs != np.rint(costs)).any():
        return 0.0
    step = 0
    for groups in (slice(_FEW), slice(None)):
        step = int(np.gcd.reduce(relative[groups][finite[groups]].astype(np.int64), initial=0))
        if step == 1:
            break
    return float(step)
