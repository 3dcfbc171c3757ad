"""The best prices of the budgets, by asking which choice is best at given prices.

At prices λ the least of loss + λ·(cost - limit) over all choices is a bound on the loss of every
choice within the limits (Everett, "Generalized Lagrange multiplier method", Operations Research
11, 1963). For one budget each answer moves one end of an interval of which the next price is the
slope; for several, the next prices are those at which the answers so far promise most (Kelley,
"The cutting-plane method for solving convex programs", 1960).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.bound import ROUNDING, Floats

_TIGHT = 1e-10  # relative difference at which more prices are not worth a question


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """The best choice at some *prices*: its *loss*, what it is *over* each limit, its *value*.

    *value* is the bound: loss + prices·over, lowered by what rounding may have added.
    """

    choice: tuple[int, ...]
    prices: Floats
    loss: float
    over: Floats
    value: float

    @property
    def fits(self) -> bool:
        """Whether the choice keeps to the limits, but for rounding."""
        return bool((self.over <= 0).all())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dual:
    """All *points* asked for, and *shares* of some of their choices, which add up to 1.

    The mixture keeps to the limits, and its loss is about the bound.
    """

    points: tuple[Point, ...]
    shares: Floats

    @property
    def best(self) -> Point:
        """The point of the highest bound."""
        return max(self.points, key=lambda point: point.value)


Ask = Callable[[Floats, float], Point]
"""The best choice at these prices, with losses counted so many times (1, or 0 for costs alone)."""


def search(ask: Ask, metrics: int, evaluations: int, start: Sequence[float] = ()) -> Dual:
    """Find the prices of that many *metrics* with the highest bound.

    *start* is a first guess of them.
    """
    if metrics > 1:
        return _planes(ask, metrics, evaluations, start)
    free = ask(np.zeros(metrics), 1.0)
    if not metrics or free.fits or math.isinf(free.value):
        return Dual(points=(free,), shares=np.ones(1))
    return _slopes(ask, free, ask(np.ones(1), 0.0), evaluations, start)


def _slopes(ask: Ask, over: Point, under: Point, evaluations: int,
            start: Sequence[float]) -> Dual:
    """One budget: *over* has the least loss, *under* the least cost."""
    points, place = [over], [0, -1]
    price, guessed = (start[0], True) if len(start) else (_slope(over, under), False)
    for _ in range(evaluations if under.fits else 0):
        point = ask(np.array([price]), 1.0)
        points.append(point)
        end = under if point.fits else over
        line = end.loss + price * float(end.over[0])
        found = point.loss + price * float(point.over[0])
        better = line - found > _TIGHT * abs(line)
        if point.fits and (better or place[1] < 0):
            under, place[1] = point, len(points) - 1
        elif better:
            over, place[0] = point, len(points) - 1
        elif not guessed:
            break
        guessed, last, price = False, price, _slope(over, under)
        if price in {0.0, last}:
            break
    if place[1] < 0:
        points.append(under)
        place[1] = len(points) - 1
    shares = np.zeros(len(points))
    span = float(over.over[0] - under.over[0])
    part = float(np.clip(-under.over[0] / span, 0, 1)) if span > 0 else 0.0
    shares[place[0]], shares[place[1]] = part, 1 - part
    return Dual(points=tuple(points), shares=shares)


def _slope(over: Point, under: Point) -> float:
    saved = float(over.over[0] - under.over[0])
    return (under.loss - over.loss) / saved if saved > 0 else 0.0


def _planes(ask: Ask, metrics: int, evaluations: int, start: Sequence[float]) -> Dual:
    """Several budgets."""
    points = [ask(np.zeros(metrics), 1.0)]
    if points[0].fits or math.isinf(points[0].value):
        return Dual(points=tuple(points), shares=np.ones(1))
    units = [ask(row, 0.0) for row in np.eye(metrics)]
    box = np.array([4 * _slope_of(points[0], unit, metric) or 1.0
                    for metric, unit in enumerate(units)])
    points += units
    prices = np.array(start) if len(start) else box / 4
    shares = np.eye(len(points))[0]
    for _ in range(evaluations):
        points.append(ask(prices, 1.0))
        box = np.maximum(box, prices)
        prices, promise, shares = _master(points, box)
        known = max(point.value for point in points)
        if (prices >= box * (1 - _TIGHT)).any():
            box = np.where(prices >= box * (1 - _TIGHT), 4 * box, box)
        elif promise - known <= _TIGHT * max(abs(promise), abs(known)):
            break
    return Dual(points=tuple(points), shares=shares)


def _slope_of(free: Point, unit: Point, metric: int) -> float:
    saved = float(free.over[metric] - unit.over[metric])
    return max(0.0, unit.loss - free.loss) / saved if saved > 0 else 0.0


def _master(points: Sequence[Point], box: Floats) -> tuple[Floats, float, Floats]:
    """The prices at which the least of the points' lines is highest, that height, and shares."""
    from scipy.optimize import linprog  # late: it takes longer to import than most problems take

    over = np.array([point.over for point in points]) * box
    loss = np.array([point.loss for point in points])
    unit = max(1e-300, float(np.abs(loss).max()), float(np.abs(over).max()))
    found = linprog(
        np.append(np.zeros(len(box)), -1.0), method="highs",
        A_ub=np.column_stack([-over / unit, np.ones(len(points))]), b_ub=loss / unit,
        bounds=[*[(0, 1)] * len(box), (None, None)])
    if found.x is None:
        return box / 2, math.inf, np.eye(len(points))[0]
    shares = np.maximum(0.0, -found.ineqlin.marginals)
    return (np.asarray(found.x[:-1] * box), float(found.x[-1]) * unit,
            np.asarray(shares / max(shares.sum(), ROUNDING)))
