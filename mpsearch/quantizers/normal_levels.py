"""The levels of least squared error for a normal number."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import ndtr, ndtri

from mpsearch.quantizers.numbers import Array

_ROUNDS = 50
_STEPS = 20


@cache
def normal_levels(bits: int) -> Array:
    """``2**bits`` rising levels for numbers of mean 0 and variance 1, [n] as float16 holds them.

    They start as dense as the cube root of the density, and come by Lloyd's rounds and then
    Newton's steps to where every level is the mean of its cell. Source: Max, "Quantizing for
    Minimum Distortion" (IRE Trans. Inf. Theory 1960).
    """
    count = 1 << bits
    levels: Array = np.sqrt(3.0) * ndtri((np.arange(count) + 0.5) / count)
    for _ in range(_ROUNDS):
        _, _, mass, first = _cells(levels)
        levels = first / mass
    for _ in range(_STEPS):
        levels = levels - _step(levels)
    levels = (levels - levels[::-1]) / 2  # as symmetric as the density
    held: Array = levels.astype(np.float16).astype(np.float64)
    return held


def _cells(levels: Array) -> tuple[Array, Array, Array, Array]:
    """Boundaries between *levels* and the density there; mass and first moment of the cells."""
    edges = (levels[1:] + levels[:-1]) / 2
    density: Array = np.exp(-np.square(edges) / 2) / np.sqrt(2 * np.pi)
    mass: Array = np.diff(ndtr(edges), prepend=0.0, append=1.0)
    first: Array = -np.diff(density, prepend=0.0, append=0.0)
    return edges, density, mass, first


def _step(levels: Array) -> Array:
    """Newton's step towards ``level * mass == first moment`` in every cell."""
    edges, density, mass, first = _cells(levels)
    below = (levels[:-1] - edges) * density / 2  # how an edge acts on the cell below it
    above = -(levels[1:] - edges) * density / 2
    slope = np.diag(mass)
    at = np.arange(len(edges))
    slope[at, at] += below
    slope[at, at + 1] += below
    slope[at + 1, at] += above
    slope[at + 1, at + 1] += above
    return np.asarray(np.linalg.solve(slope, levels * mass - first), dtype=np.float64)
