"""From a total of bits to the figures people compare."""

from __future__ import annotations

from mpsearch.core.types import SearchSpace


def bits_per_weight(space: SearchSpace, size_bits: float) -> float:
    """Average bits of a quantisable weight, scales and padding included; 0 without weights.

    *size_bits* is a total of the table that `size` returns. Shared weights count once.
    """
    return size_bits / space.weights if space.weights else 0.0
