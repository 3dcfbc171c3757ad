"""Dense tables of losses and costs, and the form in which the inner loops can work on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.knapsack.plain import Floats
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput

_USUAL = range(-300, 600)  # binary exponents at which nothing over- or underflows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Losses (groups, schemes), costs (metrics, groups, schemes) and a limit a metric.

    Where a group has fewer schemes, its losses are infinite and its costs 0 beyond them. *scaled*
    holds losses and costs brought by powers of two to where products neither over- nor underflow,
    usually the arrays themselves; *exponents* are those powers, of the losses and each metric.
    *largest* is the largest magnitude of each metric's costs.
    """

    losses: Floats
    costs: Floats
    limits: tuple[float, ...]
    scaled: tuple[Floats, Floats]
    exponents: tuple[int, ...]
    largest: tuple[float, ...]

    @classmethod
    def of(cls, losses: Floats, costs: Floats, limits: Sequence[float]) -> Table:
        """The table of these arrays, which are not copied unless they must be scaled.

        Raises:
            BadInput: shapes that do not fit together, or a value that is not a number.
        """
        if costs.shape != (len(limits), *losses.shape) or not losses.size:
            raise BadInput(f"losses of shape {losses.shape} and {len(limits)} limits need costs of "
                           f"shape (metrics, groups, schemes), not {costs.shape}")
        most = losses.max()
        if most == math.inf:
            most = losses[losses < math.inf].max(initial=0.0)
        sizes = [max(-losses.min(), most), *(max(-row.min(), row.max()) for row in costs)]
        exponents = [_exponent(float(size)) for size in sizes]
        scaled = losses, costs
        if any(exponents):
            scaled = (np.ldexp(losses, exponents[0]),
                      np.ldexp(costs, np.array(exponents[1:], dtype=int)[:, None, None]))
        return cls(losses=losses, costs=costs, limits=tuple(limits), scaled=scaled,
                   exponents=tuple(exponents), largest=tuple(map(float, sizes[1:])))

    @classmethod
    def of_problem(cls, problem: Problem) -> Table:
        """The table of *problem*."""
        sizes = np.array([row.size for row in problem.losses])
        filled = np.arange(sizes.max()) < sizes[:, None]
        losses = np.full(filled.shape, np.inf)
        losses[filled] = np.concatenate(problem.losses)
        costs = np.zeros((len(problem.costs), *filled.shape))
        for table, rows in zip(costs, problem.costs, strict=True):
            table[filled] = np.concatenate(rows)
        return cls.of(losses, costs, problem.limits)

    def floors(self) -> list[float]:
        """The least total cost on each metric."""
        there = np.isfinite(self.losses)
        return [math.fsum(np.where(there, table, math.inf).min(axis=1).tolist())
                for table in self.costs]

    def binding(self) -> Table:
        """The table without the metrics whose limit no choice can exceed."""
        there = np.isfinite(self.losses)
        kept = [metric for metric, (table, limit) in enumerate(zip(
            self.costs, self.limits, strict=True))
            if limit < math.fsum(np.where(there, table, -math.inf).max(axis=1).tolist())]
        return self if len(kept) == len(self.limits) else self.of(
            self.losses, self.costs[kept], [self.limits[metric] for metric in kept])

    def limit(self, metric: int) -> float:
        """The limit in the unit of the scaled costs; infinite where that is beyond all floats."""
        try:
            return math.ldexp(self.limits[metric], self.exponents[1 + metric])
        except OverflowError:
            return math.copysign(math.inf, self.limits[metric])


def _exponent(largest: float) -> int:
    """The power of two that brings the largest magnitude within the usual range, mostly 0."""
    if not largest < math.inf:
        raise BadInput("a table has a value that is not a finite number: measure it again")
    exponent = math.frexp(largest)[1]
    return 0 if exponent in _USUAL or not largest else 100 - exponent
