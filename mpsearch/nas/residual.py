"""How far measured losses are from the sum of scores, and what that says of every score.

Losses do not add up: they saturate, and layers meet. The measured loss of a choice is modelled as

    log loss = a + b log(sum over groups of score * (1 + w) + l * interactions) + noise

with one unknown *w* for every scheme of every group, Gaussian beforehand (see `prior`), and unknown
interactions of all pairs beside those that the landscape knows (see `pairs`). A choice
that was measured is one linear observation of them (but for the noise), so what is known after N
measurements is Gaussian too and costs one solve of N equations (Rasmussen and Williams, Gaussian
Processes for Machine Learning, 2006, section 2.2). Variances are those of greatest marginal
likelihood (section 5.4.1), sought along one of them after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from mpsearch.nas import pairs
from mpsearch.nas.landscape import Floats, Integers, Landscape, totals
from mpsearch.nas.prior import Prior

_GRID: Mapping[str, tuple[float, ...]] = {
    "unit": (0.0, 0.1, 0.2, 0.4, 0.8), "group": (0.0, 0.1, 0.2, 0.4, 0.8),
    "own": (0.05, 0.1, 0.2, 0.4), "pair": (0.0, 0.05, 0.1, 0.2, 0.4),
    "noise": (0.01, 0.02, 0.05, 0.1, 0.2)}
"""Standard deviations that are tried: parts of w, of what pairs add, and of what is left."""
_START = {"unit": 0.2, "group": 0.2, "own": 0.1, "pair": 0.0, "noise": 0.05}
_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How often interactions may count."""
_FEWEST = 8
"""Measurements below which they count once."""
_ROUNDS = 2
_LEAST = 0.1
"""A score never shrinks below this part of itself."""
_LEAST_TOTAL = 0.5
"""Nor does a total: beyond that, a line says nothing."""
_TINY = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residual:
    """What measurements say of the scores.

    *offset* and *slope* are a and b, *noise* the standard deviation of log loss. *columns* are the
    observations [N, groups, schemes], *seen* their values; *factor* is the root of their
    covariance, and *across* what they have in common with every w. *interaction* is l, from 0
    to 1; without interactions in the landscape it says nothing. *pair* is the standard deviation
    of what a pair adds, and *roots* are what that is seen by.
    """

    landscape: Landscape
    prior: Prior
    offset: float
    slope: float
    noise: float
    columns: Floats
    seen: Floats
    factor: tuple[Floats, bool]
    across: Floats
    roots: Floats
    pair: float
    interaction: float

    @property
    def mean(self) -> Floats:
        """The expected w [groups, schemes]."""
        return self._told(cho_solve(self.factor, self.seen))

    @property
    def mean_pairs(self) -> Floats:
        """What each pair is expected to add [groups, groups], over the root of its two losses."""
        return self.pair**2 * pairs.told(cho_solve(self.factor, self.seen), self.roots)

    def drawn(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """One w and what pairs add, as likely as what is known says.

        By Matheron's rule: a draw of before, corrected.
        """
        before = self.prior.drawn(rng)
        beside = self.pair * pairs.drawn(rng, len(before))
        error = rng.standard_normal(len(self.seen)) * (self.noise / self.slope)
        missed = self.seen - np.einsum("ngs,gs->n", self.columns, before) - error
        weights = cho_solve(self.factor, missed - pairs.seen(beside, self.roots))
        return (before + self._told(weights),
                beside + self.pair**2 * pairs.told(weights, self.roots))

    def corrected(self, w: Floats) -> Floats:
        """The scores with *w* put in, for an allocator to minimise."""
        return self.landscape.scores * np.maximum(1 + w, _LEAST)

    def predict(self, choices: Integers) -> tuple[Floats, Floats]:
        """Mean and standard deviation of log loss of *choices* [N, groups]."""
        base = self.landscape.additive(choices, self.interaction)
        roots = pairs.roots(self.landscape, choices, self.interaction)
        moved = base * (1 + pairs.seen(self.mean_pairs, roots)) + totals(
            self.landscape.scores * self.mean, choices)
        total = np.maximum(np.maximum(moved, _LEAST_TOTAL * base), _TINY)
        columns = columns_of(self.landscape, choices, self.interaction)
        own = self.prior.times(columns)
        across = np.einsum("ngs,mgs->nm", columns, self.across) + (
            self.pair**2 * pairs.kernel(roots, self.roots))
        varies = np.einsum("ngs,ngs->n", columns, own) + self.pair**2 * pairs.variance(roots) - (
            np.einsum("nm,mn->n", across, cho_solve(self.factor, across.T)))
        deviation = self.slope * np.sqrt(np.maximum(varies, 0)) * base / total
        return self.offset + self.slope * np.log(total), np.hypot(deviation, self.noise)

    def _told(self, weights: Floats) -> Floats:
        found: Floats = np.einsum("n,ngs->gs", weights, self.across)
        return found


def fitted(landscape: Landscape, choices: Integers, logs: Floats) -> Residual:
    """What the logarithms of measured losses *logs* [N] of *choices* [N, groups] say."""
    interaction = weight_of(landscape, choices, logs)
    base = np.log(np.maximum(landscape.additive(choices, interaction), _TINY))
    offset, slope = line(base, logs)
    seen = np.expm1((logs - offset) / slope - base)
    columns = columns_of(landscape, choices, interaction)
    roots = pairs.roots(landscape, choices, interaction)
    spreads = _likeliest(landscape, columns, roots, seen, slope)
    prior, noise = _prior(landscape, spreads), spreads["noise"]
    across = prior.times(columns)
    inside = np.einsum("ngs,mgs->nm", columns, across)
    inside += spreads["pair"]**2 * pairs.kernel(roots, roots)
    inside[np.diag_indices_from(inside)] += (noise / slope) ** 2
    return Residual(landscape=landscape, prior=prior, offset=offset, slope=slope, noise=noise,
                    columns=columns, seen=seen, factor=cho_factor(inside, lower=True),
                    across=across, roots=roots, pair=spreads["pair"], interaction=interaction)


def weight_of(landscape: Landscape, choices: Integers, logs: Floats) -> float:
    """How often interactions count: as the line through measured losses fits best, of few all."""
    if landscape.factor is None:
        return 0.0
    if len(logs) < _FEWEST:
        return 1.0
    left = []
    for weight in _WEIGHTS:
        base = np.log(np.maximum(landscape.additive(choices, weight), _TINY))
        offset, slope = line(base, logs)
        left.append(float(np.square(logs - offset - slope * base).sum()))
    return _WEIGHTS[int(np.argmin(left))]


def columns_of(landscape: Landscape, choices: Integers, interaction: float = 0.0) -> Floats:
    """For each choice the part of its total that each scheme makes [N, groups, schemes].

    The sum of these times w is by how much of itself the total changes.
    """
    groups, schemes = landscape.scores.shape
    found = np.zeros((len(choices), groups, schemes))
    rows, own = np.arange(len(choices))[:, None], np.arange(groups)
    base = np.maximum(landscape.additive(choices, interaction), _TINY)
    found[rows, own, choices] = landscape.scores[own, choices] / base[:, None]
    return found


def line(x: Floats, y: Floats) -> tuple[float, float]:
    """Offset and slope of *y* over *x*; drawn to a slope of 1 by one more unit of spread."""
    centre = x - x.mean()
    slope = float((centre @ (y - y.mean()) + 1.0) / (centre @ centre + 1.0))
    slope = min(max(slope, 0.25), 4.0)
    return float(y.mean() - slope * x.mean()), slope


def _prior(landscape: Landscape, spreads: Mapping[str, float]) -> Prior:
    return Prior(landscape=landscape, unit=spreads["unit"], group=spreads["group"],
                 own=spreads["own"])


def _likeliest(landscape: Landscape, columns: Floats, roots: Floats, seen: Floats,
               slope: float) -> dict[str, float]:
    parts = {name: np.einsum("ngs,mgs->nm", columns, Prior(
        landscape=landscape, **{"unit": 0.0, "group": 0.0, "own": 0.0, name: 1.0}).times(columns))
        for name in ("unit", "group", "own")}
    parts["pair"] = pairs.kernel(roots, roots)
    parts["noise"] = np.eye(len(seen)) / slope**2
    best = dict(_START)
    for _ in range(_ROUNDS):
        for name, grid in _GRID.items():
            found = [_likelihood(parts, {**best, name: value}, seen) for value in grid]
            best[name] = grid[int(np.argmax(found))]
    return best


def _likelihood(parts: Mapping[str, Floats], spreads: Mapping[str, float], seen: Floats) -> float:
    """Logarithm of the marginal likelihood of *seen*, without its constant."""
    inside = sum((part * spreads[name] ** 2 for name, part in parts.items()),
                 np.zeros_like(parts["noise"]))
    root, lower = cho_factor(inside, lower=True)
    return float(-0.5 * seen @ cho_solve((root, lower), seen) - np.log(np.diag(root)).sum())
