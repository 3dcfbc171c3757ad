"""The inner loops in plain numpy; `compiled` has the same functions with the same results.

Tables have the axes (groups, schemes). A group with fewer schemes is filled up with infinite
losses at cost 0. Differences are always taken within a group before they are weighted, so that
small differences keep their relative precision beside large values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Steps = tuple[Floats, Floats, Indices, Indices]
Between = tuple[Indices, Floats, Steps]
Gaps = tuple[Floats, Floats, Floats, Floats]
Curve = tuple[Floats, Floats, Floats, Floats]
"""A convex piecewise linear function: where pieces end (one fewer), a point of each, its slope."""
Rest = tuple[float, Curve, float]
States = tuple[Floats, Indices, Indices, Indices, Indices]


def ends(losses: Floats, costs: Floats, low: float, high: float) -> tuple[Indices, Indices]:
    """Each group's best scheme at the price *low*, ties to less loss, and at *high*, to less cost.

    A price is a loss per cost; an infinite *high* asks for the cheapest scheme.
    """
    rows = np.arange(len(losses))
    some = np.isfinite(losses).argmax(axis=1)
    dear = (losses - losses[rows, some][:, None] + low * (
        costs - costs[rows, some][:, None])).argmin(axis=1)
    for k in range(losses.shape[1]):
        loss, cost = losses[rows, dear] - losses[:, k], costs[:, k] - costs[rows, dear]
        gain = loss - low * cost
        better = (gain > 0) | ((gain == 0) & ((loss > 0) | ((loss == 0) & (cost < 0))))
        dear[better] = k
    cheap = dear.copy()
    for k in range(losses.shape[1]):
        loss, cost = losses[rows, cheap] - losses[:, k], costs[:, k] - costs[rows, cheap]
        gain = np.where(np.isfinite(losses[:, k]), -cost if high == np.inf else loss - high * cost,
                        -np.inf)
        better = (gain > 0) | ((gain == 0) & ((cost < 0) | ((cost == 0) & (loss > 0))))
        cheap[better] = k
    return dear, cheap


def march(losses: Floats, costs: Floats, dear: Indices, cheap: Indices, top: float) -> Steps:
    """Steps down the lower convex hulls of the groups from *dear* to *cheap*.

    Slope (loss added for each cost saved, up to *top*), cost saved, group and scheme reached of
    every step; those of one group follow each other and never fall in slope.
    """
    group = np.flatnonzero(costs[np.arange(len(dear)), dear] > costs[np.arange(len(dear)), cheap])
    here, last = dear[group], np.zeros(group.size)
    end = costs[group, cheap[group]][:, None]
    found: list[Steps] = [(np.zeros(0), np.zeros(0), group[:0], group[:0])]
    while group.size:
        loss, cost = losses[group], costs[group]
        rows = np.arange(group.size)
        saved = cost[rows, here][:, None] - cost
        lost = loss - loss[rows, here][:, None]
        valid = (saved > 0) & (cost >= end) & np.isfinite(loss)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = np.where(valid, lost / saved, np.inf)
        least = slope.min(axis=1)
        pick = np.where(valid & (slope == least[:, None]), saved, -np.inf).argmax(axis=1)
        last = np.minimum(np.maximum(least, last), top)
        found.append((last, saved[rows, pick], group, pick))
        more = cost[rows, pick] > end[:, 0]
        group, here, last, end = group[more], pick[more], last[more], end[more]
    slope, saved, group, pick = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(group, kind="stable")
    return slope[order], saved[order], group[order], pick[order]


def between(losses: Floats, costs: Floats, low: float, high: float, top: float) -> Between:
    """The `ends` of each group (2, groups), what they cost, and the steps of the `march`."""
    found = np.stack(ends(losses, costs, low, high))
    spent = costs[np.arange(len(losses)), found]
    return found, spent, march(losses, costs, found[0], found[1], top)


def second(losses: Floats, costs: Floats, pick: Indices, price: float) -> Gaps:
    """By how much each group's next best scheme at *price* is worse than *pick*.

    Then the same for each unit of cost that it differs by, by how much the best scheme is better
    (positive only where rounding was at work), and the loss of *pick* above the group's least.
    """
    rows = np.arange(len(losses))
    here = losses[rows, pick]
    spent = costs - costs[rows, pick][:, None]
    excess = losses - here[:, None] + price * spent
    excess[rows, pick] = np.inf
    next_ = excess.argmin(axis=1)
    least = excess[rows, next_]
    worse = np.maximum(0.0, least)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slope = np.where(np.isfinite(worse), worse / np.abs(spent[rows, next_]), np.inf)
    return worse, slope, np.maximum(0.0, -least), here - losses.min(axis=1)


def extend(states: tuple[Floats, Indices, Indices], schemes: tuple[Floats, Indices, Indices],
           rest: Rest, best: float) -> States:
    """Every state with every scheme of one more group, of equal or worse ones only the first.

    *states* are losses and the two limbs of costs above the limit, by rising cost and falling
    loss; *schemes* are those of the group. What cannot stay below *best* is dropped, with
    *rest* as in `bounds`. The last two arrays are the states and schemes that the new
    states came from.
    """
    loss = (states[0] + schemes[0][:, None]).ravel()
    high, low = states[1] + schemes[1][:, None], states[2] + schemes[2][:, None]
    carried = low >> 48
    high, low = (high + carried).ravel(), (low - (carried << 48)).ravel()
    alive = np.flatnonzero(bounds(loss, high, low, rest) < best)
    alive = alive[np.lexsort((loss[alive], low[alive], high[alive]))]
    least = np.minimum.accumulate(np.append(np.inf, loss[alive]))
    alive = alive[loss[alive] < least[:-1]]
    pick, parent = np.divmod(alive, states[0].size)
    return loss[alive], high[alive], low[alive], parent, pick


def bounds(loss: Floats, high: Indices, low: Indices, rest: Rest) -> Floats:
    """Least loss that each state can end with.

    *rest* is the loss of the remaining groups as they are in the reference, what saving the rest
    of the cost changes in it, and the cost that the first limb counts in.
    """
    kept, (ends_, starts, values, slopes), unit = rest
    over = (high + low * 2.0**-48) * unit
    at = np.searchsorted(ends_, over)
    return np.asarray(loss + kept + (values[at] + (over - starts[at]) * slopes[at]))
