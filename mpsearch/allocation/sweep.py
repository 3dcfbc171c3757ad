"""A sweep over the groups that is exact where it stays within its width, and a bound elsewhere.

Partial choices are extended group by group. One is dropped when it cannot keep to the limits any
more, when its bound shows that it cannot beat the best known choice, or when another one is as
good in loss and in every cost. Where more than *width* are left, those of lowest bound stay, and
the lowest bound among those given up is what the sweep has proven. This is the dynamic program of
the multiple-choice knapsack with bounds (Dyer, Riha and Walker, "A hybrid dynamic
programming/branch-and-bound algorithm for the multiple-choice knapsack problem", 1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.bound import ROUNDING, Floats, Relaxation
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Ints, Mask, carry, within

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The best choice found, if any beats the known loss, and a bound on every other.

    *choice* is one of the problem; *bound* is above the core's base.
    """

    choice: tuple[int, ...] | None
    bound: float


def sweep(core: Core, relaxations: Sequence[Relaxation], best: float, width: int) -> Swept:
    """Look for a choice in *core* whose loss above its base is less than *best*."""
    if not within(np.zeros_like(core.room), core.room):
        return Swept(choice=None, bound=np.inf)
    bound = best * (1 - ROUNDING)
    rest = np.ones(len(core.losses), dtype=bool)
    loss, spent = np.zeros(1), np.zeros((1, *core.room.shape), dtype=np.int64)
    order = _order(core)
    trail: list[tuple[Indices, Indices]] = []
    for group in order:
        rest[group] = False
        losses = core.losses[group]
        parent, pick = np.divmod(np.arange(loss.size * losses.size), losses.size)
        loss = loss[parent] + losses[pick]
        spent = carry(spent[parent] + core.costs[group][pick])
        low = _bounds(relaxations, rest, loss, spent)
        alive = np.flatnonzero((low < best * (1 - ROUNDING)) & within(spent, core.room))
        alive = alive[_undominated(loss[alive], spent[alive])]
        if alive.size > width:
            ranked = alive[np.argsort(low[alive], kind="stable")]
            alive, bound = np.sort(ranked[:width]), min(bound, float(low[ranked[width]]))
        loss, spent = loss[alive], spent[alive]
        trail.append((parent[alive], pick[alive]))
    if not loss.size:
        return Swept(choice=None, bound=bound)
    leaf = int(loss.argmin())
    return Swept(choice=_trace(core, order, trail, leaf), bound=min(bound, float(loss[leaf])))


def _order(core: Core) -> list[int]:
    """Open groups, those first whose second best candidate costs most loss."""
    return sorted(core.open, key=lambda group: (-np.partition(core.losses[group], 1)[1], group))


def _bounds(relaxations: Sequence[Relaxation], rest: Mask, loss: Floats, spent: Ints) -> Floats:
    low = loss
    for relaxation in relaxations:
        low = np.maximum(low, loss + relaxation.bound(rest, spent))
    return low


def _undominated(loss: Floats, spent: Ints) -> Indices:
    """Partial choices, in order, without those that another is as good as in every respect.

    With several budgets only those that spend the same are compared.
    """
    limbs = spent[..., ::-1].reshape(loss.size, math.prod(spent.shape[1:]))
    order = np.lexsort((loss, *limbs.T))
    if spent.shape[1] > 1:
        first = np.append(True, (np.diff(limbs[order], axis=0) != 0).any(axis=1))
        return np.sort(order[first[:order.size]])
    least = np.minimum.accumulate(np.append(np.inf, loss[order]))
    return np.sort(order[loss[order] < least[:-1]])


def _trace(core: Core, order: Sequence[int], trail: Sequence[tuple[Indices, Indices]],
           leaf: int) -> tuple[int, ...]:
    positions = [0] * len(core.losses)
    for group, (parent, pick) in zip(reversed(order), reversed(trail), strict=True):
        positions[group] = int(pick[leaf])
        leaf = int(parent[leaf])
    return core.choice(positions)
