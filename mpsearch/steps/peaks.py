"""What this machine reaches: float operations in a large product, bytes in a long read."""

from __future__ import annotations

import torch

from mpsearch.core.machine import Peak
from mpsearch.steps.host import largest_cache
from mpsearch.steps.stopwatch import Stopwatch

_SIDE = 512
_MS = 1e-6  # 1e9 a second from a number a ms


def measure_peak(threads: int, rounds: int) -> Peak:
    """The best rate of a float32 product of 512 x 512 matrices, and of summing a long vector.

    The vector is four times as long as the largest cache. A library may do better on other shapes:
    what the timed layers themselves reach counts too, where the table is read.
    """
    first, other = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE)
    stream = torch.ones(4 * largest_cache() // 4)
    watch = Stopwatch([[lambda: torch.mm(first, other)], [stream.sum]], threads)
    product, read = (min(times) for times in zip(*(watch.round() for _ in range(rounds)),
                                                 strict=True))
    return Peak(threads=threads, gflops=2 * _SIDE**3 / product * _MS,
                gbytes=stream.nbytes / read * _MS)
