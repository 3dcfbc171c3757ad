"""Lower bounds from the linear relaxation, in arithmetic of our own.

All budgets are weighted into one, and for one budget the relaxation is solved by the lower convex
hulls of the groups (Sinha and Zoltners, "The multiple-choice knapsack problem", Operations
Research 27, 1979): start where every group has its least loss, and buy cost back in order of loss
per cost. Any non-negative weights give a valid bound, the prices of the relaxation with several
budgets the best one. Sums run upwards from zero, so that a small bound keeps its relative
precision beside large losses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Ints, Mask, within

Floats = NDArray[np.float64]
ROUNDING = 1e-12
"""Relative difference below which two sums of floats count as equal."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxation:
    """The relaxed problem under one weighting of its budgets.

    *weights* is the weight of a unit of each metric's cost, *room* the weighted limit, *start*
    each group's weighted cost at its least loss. *saved*, *lost* and *owner* list the steps of
    all hulls by rising loss per cost: the cost a step buys back, the loss it adds, its group.
    """

    weights: Floats
    room: float
    start: Floats
    saved: Floats
    lost: Floats
    owner: NDArray[np.intp]

    @classmethod
    def of(cls, core: Core, weights: Floats) -> Relaxation:
        """The relaxation of *core* with these non-negative *weights*."""
        start, widest = np.zeros(len(core.losses)), 0.0
        steps: list[tuple[float, int, float, float]] = []
        for group in core.open:
            costs = core.costs[group][..., 0] @ weights
            widest += float(costs.max())
            points = hull(costs, core.losses[group])
            start[group] = points[-1][0]
            steps += [(lost / saved, group, saved, lost) for saved, lost in _steps(points)]
        table = np.array(sorted(steps)).reshape(-1, 4)
        room = float(core.room[:, 0] @ weights)
        # Weighted costs are rounded and lack their second limb, which must not make a choice look
        # as if beyond the limits.
        slack = (len(start) + 2) * (
            4 * np.finfo(float).eps * (widest + abs(room)) + float(weights.sum()))
        return cls(weights=weights, room=room + slack, start=start, saved=table[:, 2],
                   lost=table[:, 3], owner=table[:, 1].astype(np.intp))

    def bound(self, rest: Mask, spent: Ints) -> Floats:
        """Least loss of the groups in *rest* where the others *spent* so much.

        One value for each row of *spent*; infinite where the limits are out of reach.
        """
        steps = rest[self.owner]
        saved = np.append(0.0, np.cumsum(self.saved[steps]))
        lost = np.append(0.0, np.cumsum(self.lost[steps]))
        over = spent[..., 0] @ self.weights + (self.start[rest].sum() - self.room)
        return np.asarray(np.interp(over, saved, lost, right=np.inf))


def unit_weights(core: Core) -> list[Floats]:
    """One weighting for each metric, which leaves the others aside."""
    return list(np.eye(len(core.room)) / np.maximum(1.0, np.abs(core.room[:, 0])))


def fix(core: Core, relaxations: Sequence[Relaxation], best: float) -> Core | None:
    """Drop every candidate that no choice within the limits and of loss up to *best* can hold.

    None if that leaves a group without a candidate.
    """
    threshold = min(best * (1 + ROUNDING), np.finfo(float).max)
    rest = np.ones(len(core.losses), dtype=bool)
    masks: list[Mask] = []
    for group, (losses, costs) in enumerate(zip(core.losses, core.costs, strict=True)):
        mask = within(costs, core.room)
        rest[group] = False
        for relaxation in relaxations if losses.size > 1 else ():
            mask &= losses + relaxation.bound(rest, costs) <= threshold
        rest[group] = True
        if not mask.any():
            return None
        masks.append(mask)
    return core.keep(masks)


def hull(costs: Floats, losses: Floats) -> list[tuple[float, float]]:
    """Corners of the lower convex hull, from least cost to least loss."""
    points: list[tuple[float, float]] = []
    for index in np.lexsort((losses, costs)):
        point = float(costs[index]), float(losses[index])
        if points and point[1] >= points[-1][1]:
            continue
        while len(points) > 1 and _spans(points[-2], points[-1], point):
            points.pop()
        points.append(point)
    return points


def _spans(left: tuple[float, float], middle: tuple[float, float],
           right: tuple[float, float]) -> bool:
    """Whether *middle* lies on or above the line from *left* to *right*."""
    gain = (left[1] - middle[1]) * (right[0] - left[0])
    return gain <= (left[1] - right[1]) * (middle[0] - left[0])


def _steps(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Cost saved and loss added by going from each corner to the next cheaper one."""
    for cheap, dear in pairwise(points):
        yield dear[0] - cheap[0], cheap[1] - dear[1]
