"""Least totals over a graph of pairs, by eliminating one group after the other.

A group is eliminated by the table of its best candidate for every candidate of the groups it
still shares a table with (bucket elimination: Dechter, "Bucket elimination: a unifying framework
for reasoning", Artificial Intelligence 113, 1999). The next to go is the one that makes fewest
new neighbours of its neighbours (min-fill). Tables are small where the graph is close to a tree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.interactions import Pair

Table = NDArray[np.float64]
_LARGE = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The groups in an order in which each may be decided once those before it are.

    *scopes* has for each group, by index, those before it that its table speaks of, the latest
    first. That one is its parent, whose table speaks of all the others too.
    """

    order: tuple[int, ...]
    scopes: tuple[tuple[int, ...], ...]

    def entries(self, sizes: Sequence[int]) -> int:
        """Values in all tables for groups of these *sizes*."""
        return sum(math.prod(sizes[other] for other in (group, *scope))
                   for group, scope in enumerate(self.scopes))


def layout(groups: int, pairs: Sequence[Pair]) -> Layout:
    """The order and tables that min-fill elimination gives *groups* joined by *pairs*."""
    near: dict[int, set[int]] = {group: set() for group in range(groups)}
    for pair in pairs:
        near[pair.first].add(pair.second)
        near[pair.second].add(pair.first)
    gone: list[int] = []
    scopes: dict[int, set[int]] = {}
    while near:
        group = _next(near)
        scopes[group] = scope = near.pop(group)
        for other in scope:
            near[other] |= scope - {other}
            near[other].discard(group)
        gone.append(group)
    return _arranged(gone, scopes)


def _next(near: Mapping[int, set[int]]) -> int:
    """The group that joins fewest of its neighbours; of several, that with fewest of those."""
    best, found = math.inf, -1
    for group in sorted(near, key=lambda group: len(near[group])):
        scope = near[group]
        fill = sum(len(scope) - 1 - len(scope & near[other]) for other in scope)
        if fill < best:
            best, found = fill, group
        if not fill:
            break
    return found


def _arranged(gone: Sequence[int], scopes: Mapping[int, set[int]]) -> Layout:
    """Parents before children, and each child with all that hangs on it before the next."""
    when = {group: index for index, group in enumerate(gone)}
    children: dict[int, list[int]] = {group: [] for group in gone}
    stack: list[int] = []
    for group in reversed(gone):
        if scopes[group]:
            children[min(scopes[group], key=when.__getitem__)].append(group)
        else:
            stack.append(group)
    order: list[int] = []
    while stack:
        order.append(stack.pop())
        stack += children[order[-1]]
    place = {group: index for index, group in enumerate(order)}
    return Layout(order=tuple(order), scopes=tuple(
        tuple(sorted(scopes[group], key=place.__getitem__, reverse=True))
        for group in sorted(scopes)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elimination:
    """The least total of every group's *tables*, whose axes are its own and those of its scope.

    *parts* are, by group, the table, what each candidate adds to it, and the best of everything
    that hangs on the group; *best* is the minimum of their sum over the first axis.
    """

    layout: Layout
    parts: Mapping[int, list[Table]]
    best: Mapping[int, Table]

    @classmethod
    def of(cls, layout: Layout, tables: Sequence[Table], added: Sequence[Table]) -> Elimination:
        """Eliminate every group of *layout*; *added* has a value for each candidate."""
        parts = {group: [table, row.reshape(-1, *[1] * (table.ndim - 1))]
                 for group, (table, row) in enumerate(zip(tables, added, strict=True))}
        best: dict[int, Table] = {}
        for group in reversed(layout.order):
            best[group] = _least(parts[group])
            scope = layout.scopes[group]
            if scope:
                parent = scope[0]
                axes = (parent, *layout.scopes[parent])
                parts[parent].append(placed(best[group], scope, axes))
        return cls(layout=layout, parts=parts, best=best)

    @property
    def total(self) -> float:
        """The least total; infinite if every choice has a forbidden pair."""
        return math.fsum(float(self.best[group]) for group in self.layout.order
                         if not self.layout.scopes[group])

    def choice(self) -> list[int]:
        """A choice with the least total: a position a group."""
        picked = [0] * len(self.layout.order)
        for group in self.layout.order:
            scope = [picked[other] for other in self.layout.scopes[group]]
            rows = [_at(part, [k if size > 1 else 0 for k, size
                               in zip(scope, part.shape[1:], strict=True)])
                    for part in self.parts[group]]
            picked[group] = int(sum(rows[1:], start=rows[0]).argmin())
        return picked

    def regrets(self) -> dict[int, Table]:
        """What each candidate adds to the least total, given those before it; not negative."""
        found = {}
        for group, parts in self.parts.items():
            with np.errstate(invalid="ignore"):
                found[group] = table = sum(parts[1:], start=parts[0]) - self.best[group]
            if np.isinf(self.best[group]).any():
                table[np.isnan(table)] = np.inf
        return found


def _at(part: Table, scope: Sequence[int]) -> Table:
    """Values along the first axis where the others are at *scope*."""
    place: tuple[Any, ...] = (slice(None), *scope)
    return np.asarray(part[place])


def _least(parts: Sequence[Table]) -> Table:
    """Minimum of the sum over the first axis, in pieces that stay in the cache."""
    if parts[0].size < _LARGE:
        return np.asarray(sum(parts[1:], start=parts[0]).min(axis=0))
    least = sum((part[0] for part in parts[1:]), start=parts[0][0])
    for k in range(1, len(parts[0])):
        least = np.minimum(least, sum((part[k] for part in parts[1:]), start=parts[0][k]))
    return np.asarray(least)


def placed(table: Table, scope: Sequence[int], axes: Sequence[int]) -> Table:
    """A *table* over *scope* as one that broadcasts over *axes*; both in the layout's order."""
    inside = set(scope)
    sizes = iter(table.shape)
    return table.reshape([next(sizes) if axis in inside else 1 for axis in axes])


def least_regrets(layout: Layout, regrets: Mapping[int, Table]) -> list[Table]:
    """For each candidate of each group the least regret of any choice that has it."""
    above: dict[int, Table] = {}
    found: dict[int, Table] = {}
    children: dict[int, list[int]] = {}
    for group, scope in enumerate(layout.scopes):
        if scope:
            children.setdefault(scope[0], []).append(group)
    for group in layout.order:
        table = regrets[group]
        if group in above:
            table = table + above.pop(group)
        found[group] = table.min(axis=tuple(range(1, table.ndim)))
        axes = (group, *layout.scopes[group])
        for child in children.get(group, ()):
            spoken = set(layout.scopes[child])
            above[child] = table.min(axis=tuple(
                place for place, axis in enumerate(axes) if axis not in spoken))
    return [found[group] for group in range(len(found))]
