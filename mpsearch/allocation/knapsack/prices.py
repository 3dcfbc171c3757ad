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
_LARGE, _SHARE = 1_500, 8  # groups from which on there is a sample, one of so many
_ROUGHLY = 1e-3  # how close prices are before most groups are left out
_RECENT, _WIDER = 2, 1.5  # rounds by which the reach is measured, and how much further to look


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


def priced(space: Space, near: Sequence[Indices] = (),
           close: float = _CLOSE) -> Priced:
    """Prices of all budgets of *space* with the highest bound that was found.

    The planes of the choices *near* are there from the start. Where another round can add no more
    than a share of *close*, there is none. Of a large space, a sample of the groups says about
    where to look; at all prices around most groups keep their scheme, and once only the others
    are asked, better prices are soon found, which all then confirm.
    """
    if near or len(space.groups) < _LARGE:
        return _certified(space, _climbed(space, near, close))
    sample = _climbed(space.sample(_SHARE), (), _ROUGHLY)
    found = _climbed(space, _picks(space, sample.prices), _ROUGHLY, sample.prices)
    inner = _around(space, found)
    part = _climbed(inner, [space.full(pick)[inner.groups] for pick in found.near], close,
                    found.prices)
    return _certified(space, _climbed(
        space, [inner.full(pick)[space.groups] for pick in part.near], close))


def _scale(space: Space) -> Floats:
    """What prices are counted for: all that costs can differ by."""
    return np.maximum(space.spread, _LEAST)


def _picks(space: Space, *more: Floats) -> list[Indices]:
    """The best choices at no prices, at very high ones and at some *more*."""
    high = _TOP * (space.most or 1.0) / _scale(space)
    return [lightest(space.losses, space.costs, prices)
            for prices in (np.zeros(high.size), high / high.size, *more)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Climbed:
    """The best *prices* so far.

    *near* are choices whose planes are near; *reach* is how far around the prices the last
    rounds went.
    """

    prices: Floats
    near: list[Indices]
    reach: Floats


def _climbed(space: Space, near: Sequence[Indices], close: float,
             start: Floats | None = None) -> _Climbed:
    """Cutting planes until the bound is *close*; they start with those of the choices *near*.

    If there are prices to *start* from, the best choice at them is among these.

    The summit of the planes is often far away at first. Halfway to it from the best prices, a
    plane mostly cuts it off as well and bounds more (Ben-Ameur and Neto, "Acceleration of
    cutting-plane and column generation algorithms", Networks 49, 2007).
    """
    scale, unit = _scale(space), space.value + space.most or 1.0
    picks = list(near) or _picks(space)
    planes, master = list[tuple[float, Floats]](), Master(len(scale), _TOP)
    room = np.empty((2, *space.losses.shape))
    low, best, tried = -np.inf, np.zeros(len(scale)), list[Floats]()

    def ask(prices: Floats) -> bool:
        """One more plane; whether it cuts off the summit."""
        nonlocal low, best
        picks.append(lightest(space.losses, space.costs, prices, room))
        planes.append(space.plane(picks[-1]))
        value, over = planes[-1]
        master.add(value / unit, over / scale)
        if value + float(prices @ over) > low:
            low, best = value + float(prices @ over), prices
        return value + float(tried[-1] @ over) < height - _SLIGHT * abs(height)

    for pick in picks:
        planes.append(space.plane(pick))
        master.add(planes[-1][0] / unit, planes[-1][1] / scale)
    if start is not None:
        low, best = min(value + float(start @ over) for value, over in planes), start
    for _ in range(_ROUNDS):
        prices, height = master.summit()
        prices, height = prices * unit / scale, height * unit
        tried.append(prices)
        halfway = low > 0 and height - low > _HALFWAY * low
        if not (halfway and ask((prices + best) / 2)):
            ask(prices)
        if height - low <= close * abs(low):
            break
    heights = np.array([value + best @ over for value, over in planes])
    kept = np.argsort(heights, kind="stable")[:_KEPT]
    return _Climbed(prices=best, near=[picks[i] for i in kept],
                    reach=np.abs(np.array(tried[-_RECENT:]) - best).max(axis=0))


def _around(space: Space, found: _Climbed) -> Space:
    """The space of the groups whose best scheme may change within reach of the prices."""
    pick = lightest(space.losses, space.costs, found.prices)
    rows, room = np.arange(len(pick)), space.losses
    for price, reach, costs in zip(found.prices, found.reach, space.costs, strict=True):
        change = costs - costs[rows, pick][:, None]
        room = room + (price * change - _WIDER * reach * np.abs(change))
    room = room - space.losses[rows, pick][:, None]
    room[rows, pick] = np.inf
    groups = np.flatnonzero(room.min(axis=1) <= 0)
    return space.only(groups, np.isfinite(space.losses[groups]), pick)


def _certified(space: Space, found: _Climbed) -> Priced:
    """The bound at the best prices that were found, on the safe side of rounding."""
    here = _priced_at(space, found.prices, found.near)
    return here if here.low >= 0 else _priced_at(space, np.zeros_like(found.prices), found.near)


def _priced_at(space: Space, prices: Floats, near: Sequence[Indices]) -> Priced:
    pick = lightest(space.losses, space.costs, prices)
    value, rest = space.plane(pick)[0], space.rests(space.full(pick))
    allowance = space.allowance(value, rest, prices)
    low = value - float(prices @ rest) - allowance
    return Priced(space=space, prices=prices, pick=pick, value=value, rest=rest, low=low,
                  allowance=allowance, near=tuple(near))
