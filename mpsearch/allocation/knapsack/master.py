"""The highest point below a set of planes: a small linear program, solved by a simplex of our own.

Each plane is the value of a choice and what it spends above the limits, a function of the prices.
In the dual program planes are columns: the least mean value of choices that keep to the limits on
average. A plane that cuts off the highest point is a column to enter, from the basis that is there.
"""

from __future__ import annotations

import numpy as np

from mpsearch.allocation.knapsack.plain import Floats, Indices

_PIVOTS = 100
_ZERO = 1e-13


class Master:
    """Planes over the prices of some *metrics*, which are at most *top* each, and their summit."""

    def __init__(self, metrics: int, top: float) -> None:
        """No planes yet; of each metric two columns for spending less or, at a price, more."""
        self.table = np.zeros((1 + metrics, 2 * metrics))
        self.table[1:, ::2], self.table[1:, 1::2] = np.eye(metrics), -np.eye(metrics)
        self.values = np.tile([0.0, top], metrics)
        self.basis: Indices | None = None

    def add(self, value: float, over: Floats) -> None:
        """One more plane: *value* + prices times *over*."""
        self.table = np.column_stack([self.table, np.append(1.0, over)])
        self.values = np.append(self.values, value)
        if self.basis is None:
            start = np.arange(0, 2 * over.size, 2) + (over > 0)
            self.basis = np.append(self.values.size - 1, start)

    def summit(self) -> tuple[Floats, float]:
        """Prices at which the lowest plane is highest, and its height there."""
        basis = self.basis
        if basis is None:
            return np.zeros(len(self.table) - 1), 0.0
        for _ in range(_PIVOTS):
            try:
                inverse = np.linalg.inv(self.table[:, basis])
            except np.linalg.LinAlgError:
                return np.zeros(len(self.table) - 1), np.inf
            duals = self.values[basis] @ inverse
            less = self.values - duals @ self.table
            enter = int(less.argmin())
            step = inverse @ self.table[:, enter]
            rising = step > _ZERO
            if less[enter] >= -_ZERO * max(1.0, abs(duals[0])) or not rising.any():
                break
            share = np.full(step.size, np.inf)
            share[rising] = np.maximum(0.0, inverse[rising, 0]) / step[rising]
            basis[share.argmin()] = enter
        return np.maximum(0.0, -duals[1:]) + 0.0, float(duals[0])  # no negative zeros
