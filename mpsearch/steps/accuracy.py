"""From the KL of a policy to the share of correct predictions it loses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.core.types import Evaluation

Vector = NDArray[np.float64]
_BENDS = (0.25, 2.0)  # powers of KL that the fall may start with
_PARAMETERS = 2
_SIDE = 0.975  # below the upper end of a 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyLoss:
    """The fall of the share of correct predictions as a function of KL.

    It is ``top * (1 - exp(-(KL / scale)**bend))``: a power of KL while that is small, and *top*,
    the float model's own share, once nothing is left. *excess* is how many times the variance of
    the policies it was fitted on is above that of counting *samples*, and *quantile* how many
    standard errors a 95 % interval reaches to each side.
    """

    top: float
    scale: float
    bend: float
    excess: float
    quantile: float
    samples: int

    def __call__(self, kl: float) -> float:
        """The fall at this *kl* (nats)."""
        return -self.top * math.expm1(-((kl / self.scale) ** self.bend))

    def interval(self, kl: float, low: float, high: float, samples: int) -> tuple[float, float]:
        """95 % prediction interval where KL is in (*low*, *high*), for *samples* new samples."""
        value = self(kl)
        variance = _variance(value, samples) + _variance(value, self.samples)
        counted = self.quantile**2 * self.excess * variance
        return (value - math.sqrt((value - self(low)) ** 2 + counted),
                value + math.sqrt((self(high) - value) ** 2 + counted))


def fit_accuracy(kls: Sequence[float], found: Sequence[Evaluation]) -> AccuracyLoss | None:
    """The curve of policies with these measurements; None without labels or with nothing to lose.

    *kls* are nats, one a policy.
    """
    from scipy import optimize, stats

    if any(each.top1 is None or not each.float_top1 for each in found):
        return None
    drops = np.array([(each.float_top1 or 0.0) - (each.top1 or 0.0) for each in found])
    top, samples = float(found[0].float_top1 or 0.0), found[0].samples
    x = np.log(np.asarray(kls, dtype=float))
    weight = 1 / np.sqrt([_variance(drop, samples) for drop in drops])

    def off(place: Vector) -> Vector:
        curve = -top * np.expm1(-np.exp(np.clip(place[1] * (x - place[0]), -700, 30)))
        return np.asarray(weight * (curve - drops))

    ends = np.array([[x.min() - 5, _BENDS[0]], [x.max() + 20, _BENDS[1]]])
    starts = [np.array([middle, 1.0]) for middle in (x.mean(), x.max(), x.max() + 5)]
    best = min((optimize.least_squares(off, start, bounds=ends) for start in starts),
               key=lambda answer: float(answer.cost))
    freedom = len(drops) - _PARAMETERS
    return AccuracyLoss(top=top, scale=math.exp(best.x[0]), bend=float(best.x[1]),
                        excess=max(1.0, 2 * float(best.cost) / freedom),
                        quantile=float(stats.t.ppf(_SIDE, freedom)), samples=samples)


def _variance(drop: float, samples: int) -> float:
    """Of a fall counted on so many samples: a prediction changes with about its size's chance."""
    return max(abs(drop), 1 / samples) / samples
