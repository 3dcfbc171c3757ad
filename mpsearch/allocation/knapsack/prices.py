"""The prices of several budgets: Kelley's cutting planes on the Lagrangian dual.

For any prices, every group's best scheme under loss plus priced cost gives a lower bound on all
choices within the limits, and a plane above the dual function; the highest point below all planes
so far is where to look next (Kelley, "The cutting-plane method for solving convex programs",
SIAM Journal 8, 1960). Every point tried gives a valid bound, so tolerances cost tightness only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.knapsack.master import Master
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.space import Space, lightest

_LEAST = 1e-100  # spread of costs, so that prices stay finite
_ROUNDS = 80
_CLOSE = 1e-12  # share of the bound that another round would have to add
_HALFWAY = 1e-9  # share of the bound from which on the summit itself is tried at once
_SLIGHT = 1e-12  # share of its height by which a plane cuts off the summit
_TOP = 1e3  # largest price: times the largest loss, for all that costs can differ by
_KEPT = 8  # planes that a later start is made from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Priced:
    """The best schemes *pick* of the open groups of *space* at these *prices*, and the bound.

    *low* is a bound on the loss above the groups' least of every choice within the limits, in the
    unit of the scaled table, *allowance* what rounding may take of it. *rest* is what the pick
    leaves under each limit, *value* its loss and *near* are choices whose planes are near.
    """

    space: Space
    prices: Floats
    pick: Indices
    value: float
    rest: Floats
    low: float
    allowance: float
    near: tuple[Indices, ...]

    def worse(self) -> Floats:
        """By how much each scheme (groups, schemes) is worse than the pick at these prices."""
        weighed = self.space.losses
        for price, costs in zip(self.prices, self.space.costs, strict=True):
            weighed = weighed + price * costs
        return weighed - weighed[np.arange(len(weighed)), self.pick][:, None]

    def open(self, worse: Floats, best: float) -> Mask:
        """Schemes that a choice may hold whose loss is below *best*: none other is in play.

        *worse* is what that method returns.
        """
        gap = best - self.low + 2 * self.allowance
        return np.isfinite(self.space.losses) & ~(worse > gap)


def priced(space: Space, parent: Priced | None = None, near: Sequence[Indices] = (),
           close: float = _CLOSE) -> Priced:
    """Prices of all budgets of *space* with the highest bound that was found.

    Where another round can add no more than a share of *close*, there is none. Of a *parent*, of
    which the space is a part, there are choices *near*, the best one at its prices first.

    The summit of the planes is often far away at first. Halfway to it from the best prices, a
    plane mostly cuts it off as well and bounds more (Ben-Ameur and Neto, "Acceleration of
    cutting-plane and column generation algorithms", Networks 49, 2007).
    """
    climb = _Climb(space, list(near) or _ends(space))
    if parent is not None:
        value, over = climb.planes[0]
        climb.low, climb.best = value + float(parent.prices @ over), parent.prices
    for _ in range(_ROUNDS):
        summit = climb.summit()
        if summit is None:
            break
        prices, height = summit
        halfway = climb.low > 0 and height - climb.low > _HALFWAY * climb.low
        middle = (prices + climb.best) / 2
        if not halfway or climb.ask(middle, prices) >= height - _SLIGHT * abs(height):
            climb.ask(prices, prices)
        if height - climb.low <= close * abs(climb.low):
            break
    found = _priced_at(space, climb.best, climb.near())
    return found if found.low >= 0 else _priced_at(space, np.zeros_like(climb.best), found.near)


def _ends(space: Space) -> list[Indices]:
    """The best choices at no prices and at very high ones."""
    high = _TOP * (space.most or 1.0) / np.maximum(space.spread, _LEAST) / space.spread.size
    return [lightest(space.losses, space.costs, prices) for prices in (np.zeros(high.size), high)]


class _Climb:
    """Planes of a space, and the *best* prices so far with their bound *low*, still rounded."""

    def __init__(self, space: Space, picks: list[Indices]) -> None:
        """The planes of these choices."""
        self.space, self.picks, self.planes = space, picks, [space.plane(pick) for pick in picks]
        self.scale, self.unit = np.maximum(space.spread, _LEAST), space.value + space.most or 1.0
        self.master = Master(self.scale.size, _TOP)
        for value, over in self.planes:
            self.master.add(value / self.unit, over / self.scale)
        self.low, self.best = -np.inf, np.zeros(self.scale.size)
        self.room = np.empty((2, *space.losses.shape))

    def summit(self) -> tuple[Floats, float] | None:
        """Where the lowest plane is highest, and how high; None where rounding hides it."""
        found = self.master.summit()
        return found and (found[0] * self.unit / self.scale, found[1] * self.unit)

    def ask(self, prices: Floats, summit: Floats) -> float:
        """One more plane, the lowest at these *prices*; its height at the *summit*."""
        pick = lightest(self.space.losses, self.space.costs, prices, self.room)
        value, over = self.space.plane(pick)
        self.picks.append(pick)
        self.planes.append((value, over))
        self.master.add(value / self.unit, over / self.scale)
        here = value + float(prices @ over)
        if here > self.low:
            self.low, self.best = here, prices
        return value + float(summit @ over)

    def near(self) -> list[Indices]:
        """The choices whose planes are lowest at the best prices."""
        heights = np.array([value + float(self.best @ over) for value, over in self.planes])
        return [self.picks[i] for i in np.argsort(heights, kind="stable")[:_KEPT]]


def _priced_at(space: Space, prices: Floats, near: Sequence[Indices]) -> Priced:
    pick = lightest(space.losses, space.costs, prices)
    value, rest = space.plane(pick)[0], space.rests(space.full(pick))
    allowance = space.allowance(value, rest, prices)
    low = value - float(prices @ rest) - allowance
    return Priced(space=space, prices=prices, pick=pick, value=value, rest=rest, low=low,
                  allowance=allowance, near=tuple(near))
