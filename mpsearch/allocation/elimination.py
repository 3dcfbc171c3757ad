"""Least totals over a graph of pairs, by eliminating one group after the other.

A group is eliminated by the table of its best candidate for every candidate of the groups it
still shares a table with (bucket elimination: Dechter, "Bucket elimination: a unifying framework
for reasoning", Artificial Intelligence 113, 1999). The next to go is the one that makes fewest
new neighbours of its neighbours (min-fill). Tables are small where the graph is close to a tree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.interactions import Pair

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The groups in an order in which each may be decided once those before it are.

    *scopes* has for each group, by index, those before it that its table speaks of, in order.
    The last of them is its parent, whose table speaks of all the others too.
    """

    order: tuple[int, ...]
    scopes: tuple[tuple[int, ...], ...]

    def entries(self, sizes: Sequence[int]) -> int:
        """Values in all tables for groups of these *sizes*."""
        return sum(math.prod(sizes[other] for other in (*scope, group))
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
        tuple(sorted(scopes[group], key=place.__getitem__)) for group in sorted(scopes)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elimination:
    """Tables by group, axes in the order of its scope and then the group's own.

    *values* are a group's own terms plus the best of all that hang on it, *best* their minimum
    over its own axis.
    """

    layout: Layout
    values: Mapping[int, Table]
    best: Mapping[int, Table] = field(repr=False)

    @classmethod
    def of(cls, layout: Layout, terms: Mapping[int, Table]) -> Elimination:
        """Eliminate every group of *layout*, whose own *terms* these are."""
        values, best = dict(terms), {}
        owned: set[int] = set()
        for group in reversed(layout.order):
            best[group] = values[group].min(axis=-1)
            scope = layout.scopes[group]
            if scope:
                parent = scope[-1]
                passed = placed(best[group], scope, (*layout.scopes[parent], parent))
                if parent in owned:
                    values[parent] += passed
                else:
                    values[parent] = values[parent] + passed
                    owned.add(parent)
        return cls(layout=layout, values=values, best=best)

    @property
    def total(self) -> float:
        """The least total; infinite if every choice has a forbidden pair."""
        return math.fsum(float(self.best[group]) for group in self.layout.order
                         if not self.layout.scopes[group])

    def choice(self) -> list[int]:
        """A choice with the least total: a position a group."""
        picked = [0] * len(self.layout.order)
        for group in self.layout.order:
            row = self.values[group][tuple(picked[g] for g in self.layout.scopes[group])]
            picked[group] = int(row.argmin())
        return picked

    def regrets(self) -> dict[int, Table]:
        """What each candidate adds to the least total, given those before it; not negative."""
        with np.errstate(invalid="ignore"):
            found = {group: values - self.best[group][..., None]
                     for group, values in self.values.items()}
        for table in found.values():
            table[np.isnan(table)] = np.inf
        return found


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
            children.setdefault(scope[-1], []).append(group)
    for group in layout.order:
        table = regrets[group]
        if group in above:
            table = table + above.pop(group)[..., None]
        found[group] = table.min(axis=tuple(range(table.ndim - 1)))
        axes = (*layout.scopes[group], group)
        for child in children.get(group, ()):
            scope = set(layout.scopes[child])
            above[child] = table.min(axis=tuple(
                place for place, axis in enumerate(axes) if axis not in scope))
    return [found[group] for group in range(len(found))]
