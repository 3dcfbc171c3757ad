"""Is one policy better than another beyond noise? A paired bootstrap over samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_RESAMPLES = 4000
_LEVEL = 95.0
_SEED = 0

Verdict = Literal["better", "worse", "same"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Mean difference of a per-sample loss, this minus that, with its 95 % bootstrap interval."""

    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Whether this one is better, worse, or the interval holds zero."""
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "same"

    @property
    def words(self) -> str:
        """The verdict as it is told."""
        return "not distinguishable" if self.verdict == "same" else f"{self.verdict} beyond noise"


def compare(this: Sequence[float], that: Sequence[float]) -> Comparison:
    """Compare two losses measured on the same samples, in the same order.

    Samples are drawn with replacement 4000 times from a fixed seed and the percentile interval of
    the mean difference is taken (Efron, 1979). Pairing removes the spread between samples, which
    is far larger than that between policies.
    """
    differences = np.asarray(this, dtype=np.float64) - np.asarray(that, dtype=np.float64)
    generator = np.random.default_rng(_SEED)
    means = np.empty(_RESAMPLES)
    for start in range(0, _RESAMPLES, 100):
        drawn = generator.integers(0, differences.size, size=(100, differences.size))
        means[start:start + 100] = differences[drawn].mean(1)
    low, high = np.percentile(means, [(100 - _LEVEL) / 2, (100 + _LEVEL) / 2])
    return Comparison(difference=float(differences.mean()), low=float(low), high=float(high))
