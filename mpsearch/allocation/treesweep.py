"""A sweep over the groups of a tree: exact where it stays within its width, a bound elsewhere.

At given prices every choice's loss is the bound plus what its candidates add to the least total,
one term a group that depends on the group's scope alone. So partial choices are extended group by
group in the layout's order, and dropped when those terms exceed what the best known choice
leaves, or when another that agrees on all groups yet to be spoken of is as good in loss and in
every cost. This is the dynamic program over a tree decomposition, with bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.bound import ROUNDING, Floats
from mpsearch.allocation.elimination import Table
from mpsearch.allocation.fixed import Ints, Mask, carry, within
from mpsearch.allocation.sweep import Swept
from mpsearch.allocation.tree import Tree

Indices = NDArray[np.intp]
_KEYS = 1 << 40  # keys are numbered anew before they overflow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slack:
    """Regrets at some prices, and how much of them a choice that is still of use may collect."""

    regrets: Mapping[int, Table]
    start: float
    most: float

    @classmethod
    def losses(cls, tree: Tree, prices: Floats, best: float) -> Slack:
        """Bound the loss, which has to be below *best*."""
        found = tree.eliminated(prices, 1.0)
        value = tree.point(found, prices, 1.0).value
        return cls(regrets=found.regrets(), start=value, most=best)

    @classmethod
    def costs(cls, tree: Tree, metric: int) -> Slack:
        """Bound the cost on one *metric*, which has to be within its room."""
        prices = np.eye(len(tree.core.room))[metric]
        found = tree.eliminated(prices, 0.0)
        room = float(tree.core.room[metric, 0])
        return cls(regrets=found.regrets(), start=found.total,
                   most=room + 2 * tree.margin(prices, found.total))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Front:
    """Partial choices: loss and cost so far, bounds (by slack), and the groups still spoken of."""

    loss: Floats
    spent: Ints
    bounds: Floats
    seen: dict[int, Indices] = field(default_factory=dict)

    def extended(self, tree: Tree, slacks: Sequence[Slack], group: int) -> tuple[_Front, Indices]:
        """Every partial choice with every candidate of *group*, and which it came from."""
        scope: tuple[Any, ...] = tuple(self.seen[g] for g in tree.layout.scopes[group])
        size = tree.costs[group].shape[0]
        parent, pick = np.divmod(np.arange(self.loss.size * size), size)

        def grown(known: Floats, table: Table) -> Floats:
            rows = table[:, *scope].T if scope else table
            return np.asarray((known[:, None] + rows).ravel())

        bounds = [grown(known, slack.regrets[group])
                  for known, slack in zip(self.bounds, slacks, strict=True)]
        return _Front(
            loss=grown(self.loss, tree.tables[group]),
            spent=carry(self.spent[parent] + tree.costs[group][pick]),
            bounds=np.stack(bounds), seen={
                **{g: row[parent] for g, row in self.seen.items()}, group: pick}), parent

    def only(self, rows: Indices) -> _Front:
        return _Front(loss=self.loss[rows], spent=self.spent[rows], bounds=self.bounds[:, rows],
                      seen={g: row[rows] for g, row in self.seen.items()})

    def keys(self, sizes: Sequence[int]) -> Indices:
        """A number for every combination of candidates of the groups still spoken of."""
        key, top = np.zeros(self.loss.size, dtype=np.intp), 1
        for group, row in self.seen.items():
            if top * sizes[group] > _KEYS:
                values, key = np.unique(key, return_inverse=True)
                top = values.size
            key, top = key * sizes[group] + row, top * sizes[group]
        return key


def treesweep(tree: Tree, slacks: Sequence[Slack], best: float, width: int) -> Swept:
    """Look for a choice in *tree* whose loss above its base is less than *best*.

    The first of *slacks* ranks partial choices.
    """
    order, sizes = tree.layout.order, [row.size for row in tree.kept]
    last = _last_spoken(tree)
    front = _Front(loss=np.zeros(1), spent=np.zeros((1, *tree.core.room.shape), dtype=np.int64),
                   bounds=np.array([[slack.start] for slack in slacks]))
    most = np.array([[slack.most] for slack in slacks])
    proven = best
    trail: list[tuple[Indices, Indices]] = []
    for step, group in enumerate(order):
        front, parent = front.extended(tree, slacks, group)
        pick = front.seen[group]
        alive = np.flatnonzero(_hopeful(front, most, best) & within(front.spent, tree.core.room))
        front, parent, pick = front.only(alive), parent[alive], pick[alive]
        for done in [g for g in front.seen if last[g] <= step]:
            del front.seen[done]
        kept = _undominated(front.keys(sizes), front.loss, front.spent)
        if kept.size > width:
            ranked = kept[np.argsort(front.bounds[0, kept], kind="stable")]
            proven = min(proven, float(front.bounds[0, ranked[width]]))
            kept = np.sort(ranked[:width])
        front = front.only(kept)
        trail.append((parent[kept], pick[kept]))
    if not front.loss.size:
        return Swept(choice=None, bound=proven)
    leaf = int(front.loss.argmin())
    positions = [0] * len(order)
    for group, (parent, pick) in zip(reversed(order), reversed(trail), strict=True):
        positions[group], leaf = int(pick[leaf]), int(parent[leaf])
    return Swept(choice=tree.choice(positions), bound=min(proven, float(front.loss.min())))


def _last_spoken(tree: Tree) -> dict[int, int]:
    """At which step each group is spoken of for the last time."""
    last: dict[int, int] = {}
    for step, group in enumerate(tree.layout.order):
        last[group] = step
        for other in tree.layout.scopes[group]:
            last[other] = step
    return last


def _hopeful(front: _Front, most: Floats, best: float) -> Mask:
    """Partial choices whose bounds are all below what is allowed."""
    return np.asarray((front.bounds <= most).all(axis=0) & (front.loss < best * (1 - ROUNDING)))


def _undominated(keys: Indices, loss: Floats, spent: Ints) -> Indices:
    """Partial choices without those that another of the same key is as good as in every respect.

    With several budgets only those that spend the same are compared.
    """
    limbs = spent[..., ::-1].reshape(loss.size, math.prod(spent.shape[1:]))
    several = spent.shape[1] > 1
    order = np.lexsort((loss, *limbs.T, keys))
    labels = np.column_stack([keys, limbs])[order] if several else keys[order, None]
    opens = np.append(True, (np.diff(labels, axis=0) != 0).any(axis=1))[:order.size]
    if several:
        return np.sort(order[opens])
    # Ranks, each segment's below all of those before it, so that one running minimum serves all.
    rank = np.empty(loss.size, dtype=np.int64)
    rank[np.argsort(loss[order], kind="stable")] = np.arange(loss.size)
    value = rank - np.cumsum(opens) * loss.size
    least = np.minimum.accumulate(value)
    fresh = np.append(True, value[1:] < least[:-1])[:order.size]
    return np.sort(order[fresh])
