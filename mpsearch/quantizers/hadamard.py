"""A random rotation that spreads every number over all others, and needs no storage."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mpsearch.quantizers.hashing import hashed


def rotate(x: Tensor, seed: int, dim: int = -1) -> Tensor:
    """*x* in float64, rotated along *dim*: random signs, then an orthonormal spreading.

    A length is ``2**a * m`` with m odd. The spreading is the Kronecker product of the Hadamard
    matrix of size ``2**a`` and the Hartley matrix of size m, ``(cos + sin)(2 pi i j / m)``. It is
    orthonormal for every length, and no entry is above ``sqrt(2 / length)``.

    Source: Ashkboos et al., "QuaRot" (NeurIPS 2024), for powers of two; Bracewell, "Discrete
    Hartley transform" (1983), for the odd rest.
    """
    moved = x.double().movedim(dim, -1)
    return _spread(moved * signs(moved.shape[-1], seed).to(x.device)).movedim(-1, dim)


def rotate_back(x: Tensor, seed: int, dim: int = -1) -> Tensor:
    """What `rotate` turned into *x*, in float64."""
    moved = x.double().movedim(dim, -1)
    # both matrices are symmetric and orthonormal, so that the spreading undoes itself
    return (_spread(moved) * signs(moved.shape[-1], seed).to(x.device)).movedim(-1, dim)


def signs(length: int, seed: int) -> Tensor:
    """Random signs, float64 [length]; longer ones begin with shorter ones."""
    high = hashed(np.arange(length), seed) >> np.uint64(63)
    return torch.from_numpy(1.0 - 2.0 * high.astype(np.float64))


def _spread(x: Tensor) -> Tensor:
    length = x.shape[-1]
    even = length & -length
    y = x.reshape(*x.shape[:-1], even, length // even)
    half = 1
    while half < even:
        pairs = y.reshape(*x.shape[:-1], even // (2 * half), 2, half, length // even)
        a, b = pairs.select(-3, 0), pairs.select(-3, 1)
        y = torch.stack([a + b, a - b], dim=-3)
        half *= 2
    y = y.reshape(*x.shape[:-1], even, length // even)
    if length > even:
        waves = torch.fft.fft(y)
        y = waves.real - waves.imag
    return (y / math.sqrt(length)).reshape(x.shape)
