"""What a search knows before it measures: scores, budgets, and a way to place numbers on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.coupling import least
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection

Choice = tuple[int, ...]
"""A scheme index for every group."""
Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A named set of groups whose scores may all be off in the same direction: a block, a kind."""

    name: str
    groups: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Landscape:
    """An allocation *problem*, its *units*, and what solves it.

    Tables of numbers have a row a group and a column a scheme, rows filled up with zeros.

    *factor* and *spread*, where known, have a column for every scheme of every group, in order. Two
    groups add twice the product of their columns of *factor* to the loss. The squares of the sums
    of the rows of *spread* over a choice add up to the squared standard error of its score.
    """

    problem: Problem
    units: tuple[Unit, ...]
    allocate: Callable[[Problem], Selection]
    factor: Floats | None = None
    spread: Floats | None = None

    @cached_property
    def scores(self) -> Floats:
        """The additive losses [groups, schemes]."""
        return _filled(self.problem.losses)

    @cached_property
    def costs(self) -> Floats:
        """The costs [metrics, groups, schemes]."""
        return np.stack([_filled(rows) for rows in self.problem.costs])

    @cached_property
    def sizes(self) -> Integers:
        """How many schemes each group has."""
        return np.array(self.problem.sizes)

    @cached_property
    def membership(self) -> Floats:
        """[units, groups]: 1 where the group belongs to the unit."""
        found = np.zeros((len(self.units), len(self.sizes)))
        for row, unit in zip(found, self.units, strict=True):
            row[list(unit.groups)] = 1
        return found

    def placed(self, scores: Floats, *, interaction: float = 0.0, kappa: float = 0.0) -> Choice:
        """The choice of least total of other *scores* [groups, schemes], within all budgets.

        What groups add together counts *interaction* times, and *kappa* standard errors are added
        (see `mpsearch.allocation.coupling`); without both the choice is exact.

        Raises:
            Infeasible: no choice keeps to the limits.
        """
        rows = tuple(row[:size] for row, size in zip(scores, self.sizes, strict=True))
        problem = replace(self.problem, losses=rows, factor=None)
        return least(problem, self.allocate(problem).choice, spread=self.spread, kappa=kappa,
                     factor=None if self.factor is None else self.factor * interaction**0.5)

    def additive(self, choices: Integers, interaction: float = 0.0) -> Floats:
        """The total score of each of *choices* [N, groups].

        What groups add together counts *interaction* times; that takes away 9/10 at most.
        """
        own = totals(self.scores, choices)
        if self.factor is None or not interaction:
            return own
        found: Floats = np.maximum(own + interaction * self._together(choices), own / 10)
        return found

    def _together(self, choices: Integers) -> Floats:
        """What groups add together, of each of *choices* [N, groups]."""
        columns = np.asarray(choices) + np.cumsum([0, *self.sizes[:-1]])
        rows = np.asarray(self.factor).T
        whole, own = np.zeros((len(columns), rows.shape[1])), np.zeros(len(columns))
        squares = (rows**2).sum(1)
        for column in columns.T:
            whole += rows[column]
            own += squares[column]
        found: Floats = (whole**2).sum(1) - own
        return found

    def within(self, choices: Integers) -> NDArray[np.bool_]:
        """Which of *choices* [N, groups] keep to every limit."""
        kept = np.ones(len(choices), dtype=bool)
        for table, limit in zip(self.costs, self.problem.limits, strict=True):
            kept &= totals(table, choices) <= limit
        return kept


def totals(table: Floats, choices: Integers) -> Floats:
    """The sum over groups of what *table* [groups, schemes] has for each of *choices*."""
    found: Floats = table[np.arange(table.shape[0]), choices].sum(-1)
    return found


def _filled(rows: Sequence[Floats]) -> Floats:
    table = np.zeros((len(rows), max(row.size for row in rows)))
    for to, row in zip(table, rows, strict=True):
        to[: row.size] = row
    return table
