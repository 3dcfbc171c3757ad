"""The levels of least squared error for sorted numbers, from running sums.

A level is the mean of the numbers nearest to it, and between two levels the boundary is halfway
(Lloyd, 1982; Max, 1960). Sorted, the numbers of a cell are a run, whose mean two differences of
running sums give: a round costs a search for each boundary, however many numbers there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from mpsearch.quantizers.numbers import Array

_MOST = 1 << 20  # numbers that levels are fitted to, evenly picked
_KNOTS = 1024
_ROUNDS = 300
_MOVING = 20  # rounds in which idle levels are moved
_GAIN = 1e-7  # the share of the error that a round must gain


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Rising numbers *x* [n], and running sums [n + 1] of weight, number and square."""

    x: Array
    mass: Array
    first: Array
    second: Array

    @classmethod
    def of(cls, x: Array, weight: Array) -> Self:
        """*x* and its weights, both [n], of which every k-th number if there are too many."""
        step = -(-len(x) // _MOST)
        order = np.argsort(x[::step], kind="stable")
        ordered, own = x[::step][order], weight[::step][order]
        own = own / (own.max() or 1.0)
        return cls(x=ordered, mass=_running(own), first=_running(own * ordered),
                   second=_running(own * np.square(ordered)))

    def spaced(self, count: int) -> Array:
        """*count* rising levels as dense as the cube root of the density of the numbers.

        That is what the best levels tend to (Panter and Dite, 1951).
        """
        shares = np.linspace(0, self.mass[-1], _KNOTS + 1)
        at = np.searchsorted(self.mass[1:], shares).clip(max=len(self.x) - 1)
        knots = self.x[at]
        dense = np.concatenate([[0.0], np.cumsum(np.diff(knots) ** (2 / 3))])
        wanted: Array = np.interp((np.arange(count) + 0.5) / count * dense[-1], dense, knots)
        return wanted

    def round(self, levels: Array, *, moving: bool) -> tuple[Array, float]:
        """The means of the cells of rising *levels*, and the error before they moved there.

        If *moving*, levels without numbers split the cells of most error.
        """
        edges = np.searchsorted(self.x, (levels[1:] + levels[:-1]) / 2)
        at = np.concatenate([[0], edges, [len(self.x)]])
        mass, first, second = (np.diff(sums[at])
                               for sums in (self.mass, self.first, self.second))
        error = second - 2 * levels * first + np.square(levels) * mass
        means = np.where(mass > 0, first / np.where(mass > 0, mass, 1.0), levels)
        inner = (second - means * first).clip(min=0) * (mass > 0)
        idle = np.flatnonzero(mass <= 0)
        if moving and len(idle):
            worst = np.argsort(-inner, kind="stable")[:len(idle)]
            worst = worst[inner[worst] > _GAIN * inner.sum()]
            apart = np.sqrt(inner[worst] / mass[worst])
            means[idle[:len(worst)]] = means[worst] + apart
            means[worst] -= apart
        return np.sort(means), float(error.sum())


def trained(numbers: Ordered, count: int) -> Array:
    """*count* rising levels that no round improves by much any more."""
    levels, before = numbers.spaced(count), np.inf
    for turn in range(_ROUNDS):
        moved, error = numbers.round(levels, moving=turn < _MOVING)
        if turn > _MOVING and error > before * (1 - _GAIN):
            break
        levels, before = moved, error
    return levels


def _running(x: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(x)])
