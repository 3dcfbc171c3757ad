"""A lower bound where all groups interact through a factor of few rows.

With one candidate a group, ``x² = x``, so the loss is ``d·x + |F x|²``, where *d* are the losses
less the squared norms of the factor's columns: convex in x. For any v, ``|F x|² >= 2 v·F x -
|v|²``; so the least additive loss with ``d + 2 Fᵀv`` in place of the losses, less ``|v|²``, is a
bound, whatever v is. Good v come from the conditional-gradient method (Frank and Wolfe, "An
algorithm for quadratic programming", 1956), whose linear step is the relaxed knapsack, with all
choices so far mixed anew in every step (Holloway, 1974). Pairs take part in the linear step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.interactions import columns_of
from mpsearch.allocation.lagrangian import Dual, Point, search
from mpsearch.allocation.shifted import shifted
from mpsearch.allocation.tree import Tree

_EPS = float(np.finfo(float).eps)
_MIXING = 400  # steps of mixing the choices known


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A *bound* above the core's base, and the *choices* within the limits met on the way."""

    bound: float
    choices: tuple[tuple[int, ...], ...]


def certificate(core: Core, start: Sequence[int], *, steps: int, evaluations: int, target: float,
                largest: int) -> Certificate:
    """The bound after up to so many *steps*, from the choice *start*.

    Each asks for the relaxed optimum with up to *evaluations* of prices. It ends where the bound
    is within a thousandth of its distance to *target*, a loss above the base, of what the method
    can reach. The tables of pairs have to be of up to *largest* entries.
    """
    problem = core.problem
    factor = problem.factor
    if factor is None:
        raise TypeError("there is no factor to bound")
    diagonal = (factor**2).sum(axis=0)
    mixture = _Mixture(factor, np.concatenate(core.losses) - diagonal, core)
    mixture.add([(1.0, tuple(start))])
    best, found, prices = -math.inf, dict[tuple[int, ...], None](), ()
    for _ in range(steps):
        v = mixture.mixed()
        dual, base = _relaxed(core, mixture.linear + 2 * (v @ factor), evaluations, largest, prices)
        prices = tuple(dual.best.prices)
        size = float(np.abs(mixture.linear).max() * len(core.losses)) + 3 * float(v @ v)
        margin = 8 * _EPS * (len(factor) + len(core.losses)) * size
        best = max(best, dual.best.value + base - float(v @ v) - margin)
        found |= dict.fromkeys(point.choice for point in dual.points if point.fits)
        reach = mixture.value()
        if reach - best <= 1e-3 * (target - reach) or reach - best <= 1e-9 * abs(reach):
            break
        mixture.add([(share, point.choice) for share, point
                     in zip(dual.shares, dual.points, strict=True) if share])
    return Certificate(bound=best, choices=tuple(found))


class _Mixture:
    """Choices, mixed for the least convex loss; *linear* are losses less the squared norms."""

    def __init__(self, factor: Floats, linear: Floats, core: Core) -> None:
        self.factor, self.linear, self.core = factor, linear, core
        self.sizes = [row.size for row in core.losses]
        self.points, self.losses = np.zeros((0, len(factor))), np.zeros(0)
        self.weights = np.zeros(0)

    def add(self, parts: Sequence[tuple[float, tuple[int, ...]]]) -> None:
        """Add a mixture of choices as one more point."""
        point, loss = np.zeros(len(self.factor)), 0.0
        for share, choice in parts:
            columns = columns_of(self.sizes, choice)
            point += share * self.factor[:, columns].sum(axis=1)
            loss += share * (float(self.linear[columns].sum()) + math.fsum(
                float(p.values[choice[p.first], choice[p.second]])
                for p in self.core.problem.pairs))
        self.points, self.losses = np.vstack([self.points, point]), np.append(self.losses, loss)
        self.weights = np.append(self.weights, float(not self.weights.size))

    def mixed(self) -> Floats:
        """Improve the weights by moving weight from the worst point to the best; their mean."""
        gram, weights = self.points @ self.points.T, self.weights
        for _ in range(_MIXING):
            slope = self.losses + 2 * gram @ weights
            to = int(slope.argmin())
            out = int(np.where(weights > 0, slope, -np.inf).argmax())
            curve = 2 * (gram[to, to] + gram[out, out] - 2 * gram[to, out])
            if slope[out] - slope[to] <= 1e-12 * np.abs(slope).max() or curve <= 0:
                break
            step = min(float(weights[out]), float((slope[out] - slope[to]) / curve))
            weights[to] += step
            weights[out] -= step
        return np.asarray(weights @ self.points)

    def value(self) -> float:
        """The convex loss of the mixture."""
        v = self.weights @ self.points
        return float(self.weights @ self.losses + v @ v)


def _relaxed(core: Core, losses: Floats, evaluations: int, largest: int,
             start: Sequence[float]) -> tuple[Dual, float]:
    """The relaxed optimum with these *losses* and the pairs, and what its bounds are above."""
    problem = core.problem
    rows = np.split(losses, np.cumsum([row.size for row in core.losses])[:-1])
    if problem.pairs:
        changed = Core.of(replace(problem, losses=tuple(rows), factor=None))
        tree = Tree.of(changed, largest)
        if tree is not None:
            return search(tree.ask, len(core.room), evaluations, start), tree.base
    base = math.fsum(float(row.min()) for row in rows) + shifted(core)[1]
    return search(_Rows(core, rows).ask, len(core.room), evaluations, start), base


class _Rows:
    """Additive losses and costs as full arrays, for quick answers at prices."""

    def __init__(self, core: Core, rows: Sequence[Floats]) -> None:
        widest = max(row.size for row in rows)
        self.room = core.room[:, 0]
        self.losses = np.full((len(rows), widest), np.inf)
        self.costs = np.zeros((len(self.room), len(rows), widest), dtype=np.int64)
        for group, row in enumerate(rows):
            self.losses[group, :row.size] = row - row.min()
            self.costs[:, group, :row.size] = core.costs[group][..., 0].T
        self.prices_of = self.costs.astype(float)
        self.widest = self.prices_of.max(axis=2).sum(axis=1) + np.abs(self.room)
        self.limbs = core.room.shape[1]

    def ask(self, prices: Floats, weight: float) -> Point:
        """The best choice at these *prices*; see `prices.Ask`."""
        losses = self.losses if weight else np.where(np.isinf(self.losses), np.inf, 0.0)
        values = losses + np.tensordot(prices, self.prices_of, 1)
        picked = values.argmin(axis=1)
        groups = np.arange(picked.size)
        loss = float(self.losses[groups, picked].sum())
        over = (self.costs[:, groups, picked].sum(axis=1) - self.room).astype(float)
        value = loss + float(prices @ over)
        if self.limbs > 1:
            over[over == 0] = 0.5  # the second limb may be beyond the limit
        margin = (picked.size + 2) * (4 * _EPS * (loss + float(prices @ self.widest)) + (
            float(prices.sum()) if self.limbs > 1 else 0.0))
        return Point(choice=tuple(picked.tolist()), prices=prices, loss=loss, over=over,
                     value=value - margin if weight else -math.inf)
