"""Random numbers that are the same with every version of numpy: whole numbers of one generator."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from mpsearch.quantizers.numbers import Array

_FRACTION_BITS = 53


class Stream:
    """Numbers from *seed*, each call the next ones."""

    def __init__(self, seed: int) -> None:
        self._raw = np.random.PCG64(seed)

    def uniform(self, count: int) -> Array:
        """Numbers above 0 and below 1."""
        whole = self._raw.random_raw(count) >> np.uint64(64 - _FRACTION_BITS)
        numbers: Array = (whole.astype(np.float64) + 0.5) / 2.0**_FRACTION_BITS
        return numbers

    def normal(self, count: int) -> Array:
        """Numbers of mean 0 and variance 1."""
        numbers: Array = ndtri(self.uniform(count))
        return numbers
