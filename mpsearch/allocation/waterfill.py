"""Reverse water-filling: the continuous optimum under an exponential law, rounded to the menu.

A Gaussian source coded at R bits a value keeps the error ``a * 2**(-2 R)``, and a sum of such
errors is least at a given total rate where every source keeps the same error, the water level,
except for those that are below it at no rate at all (Cover and Thomas, "Elements of Information
Theory", 2nd edition, theorem 10.3.3). Q-Palette (Lee and Song, NeurIPS 2025, arXiv:2509.20214)
gives a network's layers so their ideal bit widths: layer l of n weights and sensitivity a gets
``max(0, log2(a / (n * level)) / 2)`` bits. It allocates by an integer program, though; that the
ideal widths are rounded to a menu here, and what follows, is ours.

A group's loss at cost c is taken as ``a * exp(-b * c)``, with a and b fitted to its
candidates. For rates c = n * R of n values and the Gaussian law, b is ``2 * ln(2) / n``; fitting
allows for quantizers that gain more or less from a bit. Least total loss within ``sum(c) = C``
then has equal slopes ``a * b * exp(-b * c)``, which is a water level for each n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.heuristic import settled
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.reduced import Reduced
from mpsearch.allocation.selection import Selection

_SMALLEST = 1e-12  # of a group's largest loss; smaller ones and zeros count as this


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfill:
    """The continuous optimum, rounded to the nearest costs and brought within the limits.

    Several budgets are weighted into one by their prices in the linear relaxation. The optimum of
    the model (see `levels`) is a lower bound only as far as losses follow the law exactly; the
    bound of the selection is the linear relaxation's, which is proven.
    """

    def __call__(self, problem: Problem) -> Selection:
        """The choice next to the continuous optimum of *problem*, and a proven bound.

        Raises:
            Infeasible: no choice keeps to the limits; a `BelowFloor` where one limit is to blame.
        """
        reduced = Reduced.of(problem, "waterfill")
        core, weightings = reduced.core, reduced.weightings()
        positions = [0] * len(core.losses)
        if weightings and core.open:
            weights = weightings[-1] if len(weightings) > len(core.room) else (
                np.sum(weightings, axis=0))
            costs: dict[int, Floats] = {
                group: core.costs[group][..., 0] @ weights for group in core.open}
            laws = np.array([law(costs[group], core.problem.losses[group])
                             for group in core.open])
            low, high = (np.array([pick(costs[group]) for group in core.open])
                         for pick in (np.min, np.max))
            ideal = levels(laws[:, 0], laws[:, 1], low, high, float(core.room[:, 0] @ weights))
            for group, target in zip(core.open, ideal, strict=True):
                positions[group] = _nearest(costs[group], core.losses[group], target)
        choice = core.choice(positions) if weightings else core.least()
        return settled(reduced, choice, weightings)


def law(costs: Floats, losses: Floats) -> tuple[float, float]:
    """Logarithm of a, and b, of ``loss = a * exp(-b * cost)``, by least squares of log losses.

    b is 0 where losses do not fall with cost, a at least the smallest float.
    """
    largest = float(np.abs(losses).max()) or 1.0
    logs = np.log(np.maximum(losses / largest, _SMALLEST))
    away = costs - costs.mean()
    spread = float(away @ away)
    slope = max(0.0, -float(away @ logs) / spread) if spread else 0.0
    return float(logs.mean() + slope * costs.mean() + np.log(largest)), slope


def levels(log_a: Floats, b: Floats, low: Floats, high: Floats, room: float) -> Floats:
    """Costs c between *low* and *high* of least ``sum(a * exp(-b * c))`` with a sum of *room*.

    All arrays have one value a group. At the water level t every cost is ``(log(a b) + t) / b``,
    cut off at its ends, so that the sum is a broken line in t, of which *room* picks the point. A
    *room* beyond either end gives that end.
    """
    flows = (b > 0) & (high > low)
    result = np.array(low)
    if not flows.any():
        return result
    slope, bottom, top = 1 / b[flows], low[flows], high[flows]
    shift = log_a[flows] + np.log(b[flows])
    starts, ends = bottom / slope - shift, top / slope - shift
    times = np.concatenate([starts, ends])
    order = np.argsort(times, kind="stable")
    rate = np.cumsum(np.concatenate([slope, -slope])[order])
    filled = np.append(0.0, np.cumsum(rate[:-1] * np.diff(times[order])))
    time = np.interp(room - low.sum(), np.maximum.accumulate(filled), times[order])
    result[flows] = np.clip((shift + time) * slope, bottom, top)
    return result


def _nearest(costs: Floats, losses: Floats, target: float) -> int:
    """Candidate whose cost is nearest to *target*; of several the one of least loss."""
    return int(np.lexsort((losses, np.abs(costs - target)))[0])
