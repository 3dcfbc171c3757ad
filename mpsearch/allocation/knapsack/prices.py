"""The prices of several budgets: Kelley's cutting planes on the Lagrangian dual.

For any prices, every group's best scheme under loss plus priced cost gives a lower bound on all
choices within the limits, and a plane above the dual function; the highest point below all planes
so far is where to look next (Kelley, "The cutting-plane method for solving convex programs",
SIAM Journal 8, 1960). Every point tried gives a valid bound, so tolerances cost tightness only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.reference import exact_sum
from mpsearch.allocation.knapsack.table import Table

_ROUNDS = 60
_CLOSE = 1e-9  # share of the bound that another round would have to add


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Priced:
    """The best schemes *pick* at these *prices*, and the bound that follows.

    *worse* (groups, schemes) is by how much each scheme is worse; *low* is a bound on the loss
    above the groups' least of every choice within the limits, in the unit of the scaled table.
    """

    prices: Floats
    pick: Indices
    worse: Floats
    low: float


def priced(table: Table) -> Priced:
    """Prices of all budgets of *table* with the highest bound that was found."""
    costs = table.scaled[1]
    scale = np.maximum(np.abs(costs).max(axis=(1, 2)), np.finfo(float).tiny)
    limits = [table.limit(m) for m in range(len(costs))]
    best, value, over = _at(table, np.zeros(len(costs)), limits)
    cuts = [(value, over / scale)]
    for _ in range(_ROUNDS):
        prices, height = _highest(cuts)
        if height <= best.low + _CLOSE * abs(best.low):
            break
        found, value, over = _at(table, prices / scale, limits)
        cuts.append((value, over / scale))
        best = found if found.low > best.low else best
    return best


def _at(table: Table, prices: Floats, limits: list[float]) -> tuple[Priced, float, Floats]:
    losses, costs = table.scaled
    rows = np.arange(len(losses))
    shifted = losses - losses.min(axis=1)[:, None]
    # Costs relative to one scheme of each group keep small differences apart.
    weighed = shifted + np.tensordot(prices, costs - costs[:, :, :1], axes=1)
    pick = weighed.argmin(axis=1)
    here = weighed[rows, pick]
    over = np.array([exact_sum(table_[rows, pick], -limit, -math.ulp(limit))
                     for table_, limit in zip(costs, limits, strict=True)])
    value = float(shifted[rows, pick].sum())
    terms = prices * over
    slack = 4 * np.finfo(float).eps * (len(losses) + 8)
    noise = float(np.abs(prices[:, None] * (costs[:, rows, pick] - costs[:, rows, 0])).sum())
    low = value + float(terms.sum()) - slack * (value + float(np.abs(terms).sum()) + noise)
    return Priced(prices=prices, pick=pick, worse=weighed - here[:, None], low=low), value, over


def _highest(cuts: list[tuple[float, Floats]]) -> tuple[Floats, float]:
    """Where the lowest of the planes is highest, and how high; prices are per scaled cost."""
    from scipy.optimize import linprog

    values, slopes = np.array([value for value, _ in cuts]), np.array([over for _, over in cuts])
    unit = max(1.0, float(np.abs(slopes).max()))
    top = float(values.max()) or 1.0
    # max t with t <= value + slope . prices, in units of the largest loss and slope
    table = np.column_stack([np.ones(len(cuts)), -slopes / unit])
    answer = linprog(np.append(-1.0, np.zeros(slopes.shape[1])), table, values / top,
                     bounds=[(None, None)] + [(0, 1e6)] * slopes.shape[1], method="highs")
    if answer.x is None:
        return np.zeros(slopes.shape[1]), -math.inf
    return answer.x[1:] * top / unit, float(answer.x[0]) * top
