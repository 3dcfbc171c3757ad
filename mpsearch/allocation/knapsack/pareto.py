"""Exact completion: a dynamic program over the groups that the relaxation leaves undecided.

States are choices of the groups so far, the others being as in the reference; all of those that
no other matches in loss and cost are kept, unless the relaxation of the remaining groups shows
that they cannot lead below the best known loss. Groups come in order of how near the slopes to
either side of their reference are to the price (Pisinger, "A minimal algorithm for the
multiple-choice knapsack problem", European Journal of Operational Research 83, 1995). Losses are
those above each group's least and only ever added, so that small ones keep their precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.knapsack.curve import Slopes
from mpsearch.allocation.knapsack.plain import Floats, Indices, bounds

_ROOM = 4_000_000  # states in all that are kept to trace the best choice back
_FRESH, _CURVES = 6, 24  # groups after each of which the bound is made anew, and times after that


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Items:
    """Schemes of the undecided groups, those to complete first in front.

    Padded tables (groups, schemes): *losses* above the group's least and costs as limbs above the
    reference, of which *sizes* a group count, and *schemes*, their index in the full table. *over*
    is how far the reference is above the limit, *rest* (groups + 1) what the groups from here on
    and all others lose in the reference, *slopes* bound what they lose elsewhere. *unit* is the
    cost that the first limb counts in.
    """

    losses: Floats
    high: Indices
    low: Indices
    sizes: Indices
    schemes: Indices
    over: tuple[int, int]
    rest: Floats
    slopes: Slopes
    unit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The least loss found and its schemes, group by group as far as they were looked at.

    No choice with a loss below *best* was given up, unless its loss is at least *bound*.
    *schemes* is None if nothing below the known loss was found.
    """

    best: float
    schemes: tuple[int, ...] | None
    bound: float


def complete(items: Items, best: float, margin: float, width: int, kernels: ModuleType) -> Found:
    """Look for choices of loss below *best*, with up to *width* states at a time.

    What is not lower than *best* by a share of *margin* may be missed.
    """
    loss, high, low = np.zeros(1), np.array([items.over[0]]), np.array([items.over[1]])
    bound, at, trail = math.inf, (-1, 0), list[tuple[NDArray[np.int32], NDArray[np.int16]]]()
    left, every = _ROOM, max(1, items.sizes.size // _CURVES)
    for index, size in enumerate(items.sizes.tolist()):
        if index < _FRESH or index % every == 0:
            curve = items.slopes.curve(index + 1, margin, kernels)
        rest = float(items.rest[index + 1]), curve, items.unit
        schemes = tuple(table[index, :size] for table in (items.losses, items.high, items.low))
        loss, high, low, parent, pick = kernels.extend((loss, high, low), schemes, rest,
                                                       best * (1 - margin))
        if loss.size > min(width, left):
            lows = bounds(loss, high, low, rest)
            ranked = np.argsort(lows, kind="stable")
            kept = np.sort(ranked[:min(width, left)])
            bound = min(bound, float(lows[ranked[kept.size]]))
            loss, high, low, parent, pick = (
                array[kept] for array in (loss, high, low, parent, pick))
        if not loss.size:
            break
        left -= loss.size
        trail.append((parent.astype(np.int32), pick.astype(np.int16)))
        place = _last_within(high, low)
        if place >= 0 and loss[place] + rest[0] < best:
            best, at = float(loss[place] + rest[0]), (index, place)
    return Found(best=best, schemes=_trace(items, trail, *at), bound=bound)


def _last_within(high: Indices, low: Indices) -> int:
    """The last state within the limit, which has the least loss of those; -1 if there is none."""
    below = int(high.searchsorted(0))
    while below < high.size and high[below] == 0 and low[below] <= 0:
        below += 1
    return below - 1


def _trace(items: Items, trail: list[tuple[NDArray[np.int32], NDArray[np.int16]]], index: int,
           place: int) -> tuple[int, ...] | None:
    if index < 0:
        return None
    found = []
    for step in range(index, -1, -1):
        parent, pick = trail[step]
        found.append(int(items.schemes[step, pick[place]]))
        place = int(parent[place])
    return tuple(reversed(found))
