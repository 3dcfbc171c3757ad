"""The highest point below a set of planes: a small linear program, solved by a simplex of our own.

Each plane is the value of a choice and what it spends above the limits, a function of the prices.
In the dual program planes are columns: the least mean value of choices that keep to the limits on
average. A plane that cuts off the highest point is a column to enter, from the basis that is there.
"""

from __future__ import annotations

import math

import numpy as np

from mpsearch.allocation.knapsack.plain import Floats, Indices

_ROOM = 128  # planes, to begin with
_PIVOTS = 100
_ZERO = 1e-13


class Master:
    """Planes over the prices of some *metrics*, which are at most *top* each, and their summit."""

    def __init__(self, metrics: int, top: float) -> None:
        """No planes yet; of each metric two columns for spending less or, at a price, more."""
        self.table = np.zeros((1 + metrics, _ROOM))
        self.values, self.count = np.zeros(_ROOM), 2 * metrics
        self.table[1:, 0:self.count:2] = np.eye(metrics)
        self.table[1:, 1:self.count:2] = -np.eye(metrics)
        self.values[1:self.count:2] = top
        self.basis: Indices | None = None

    def add(self, value: float, over: Floats) -> None:
        """One more plane: *value* + prices times *over*."""
        if self.count == self.values.size:
            self.table = np.concatenate((self.table, np.zeros_like(self.table)), axis=1)
            self.values = np.concatenate((self.values, np.zeros_like(self.values)))
        self.table[0, self.count], self.table[1:, self.count] = 1.0, over
        self.values[self.count] = value
        if self.basis is None:
            start = np.arange(0, 2 * over.size, 2) + (over > 0)
            self.basis = np.append(self.count, start)
        self.count += 1

    def summit(self) -> tuple[Floats, float] | None:
        """Prices at which the lowest plane is highest, and its height there.

        Without planes there is no height: it is infinite. None where planes are so nearly parallel
        that rounding leaves no basis to go on from.
        """
        basis = self.basis
        if basis is None:
            return np.zeros(len(self.table) - 1), math.inf
        table, values = self.table[:, :self.count], self.values[:self.count]
        try:
            inverse = np.linalg.inv(table[:, basis])
        except np.linalg.LinAlgError:
            return None
        for _ in range(_PIVOTS):
            duals = values[basis] @ inverse
            less = values - duals @ table
            enter = int(less.argmin())
            step = inverse @ table[:, enter]
            rising = step > _ZERO
            if less[enter] >= -_ZERO * max(1.0, abs(duals[0])) or not rising.any():
                break
            share = np.full(step.size, np.inf)
            share[rising] = np.maximum(0.0, inverse[rising, 0]) / step[rising]
            leave = int(share.argmin())
            basis[leave] = enter
            row = inverse[leave] / step[leave]
            inverse -= np.outer(step, row)
            inverse[leave] = row
        return np.maximum(0.0, -duals[1:]) + 0.0, float(duals[0])  # no negative zeros
