"""Random bits that are the same everywhere and always, from a key and a seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
_STEP = 0x9E3779B97F4A7C15
_ALL = (1 << 64) - 1


def hashed(keys: NDArray[np.integer[Any]], seed: int) -> NDArray[np.uint64]:
    """64 random bits for each of *keys*, in their shape.

    Source: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    mixed = _finalized(keys.astype(np.uint64) + _finalized(np.array(seed * _STEP + _STEP & _ALL,
                                                                    dtype=np.uint64)))
    return _finalized(mixed + np.uint64(_STEP))


def _finalized(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
