"""Samples of a tensor's numbers at an even stride."""

from __future__ import annotations

import math


def coprime_stride(length: int, most: int) -> int:
    """The least stride at which at most *most* of *length* numbers are met, and no factor of it.

    A stride that shares no factor with the length meets every index of every inner dimension
    equally often, so that a tensor's channels are all seen.
    """
    stride = -(-length // most)
    while math.gcd(stride, length) > 1:
        stride += 1
    return stride
