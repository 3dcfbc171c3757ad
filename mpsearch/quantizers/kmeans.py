"""Codewords of least squared error for weighted vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from mpsearch.quantizers.numbers import Array
from mpsearch.quantizers.random_numbers import Stream

Indices = npt.NDArray[np.intp]
_DRAWS = 4
"""Turns in which the first codewords are drawn, an equal share in each."""
_HARDLY = 1e-280  # the weight of what is drawn last


def nearest(points: Array, codewords: Array) -> tuple[Array, Indices]:
    """Distance [n] of *points* [n, d] to the nearest of *codewords* [K, d], and its index [n].

    By a tree (Friedman, Bentley, Finkel, ACM TOMS 1977): exact, from differences and not from
    products, and in few dimensions much faster than all distances.
    """
    distance, index = cKDTree(codewords).query(points)
    return distance, index


def trained(points: Array, weight: Array, count: int, rounds: int, seed: int = 0) -> Array:
    """*count* codewords for *points* [n, d] by *rounds* of Lloyd's rule; float64.

    Each becomes the mean of the points nearest to it; one that has none moves to the point of the
    largest error. *weight* is [n]. Where there are no more points than codewords, they are the
    points. Source: Linde, Buzo, Gray, "An Algorithm for Vector Quantizer Design" (IEEE Trans.
    Commun. 1980).
    """
    if len(points) <= count:
        return points[np.arange(count) % len(points)]
    codewords = _first(points, weight, count, Stream(seed))
    for _ in range(rounds):
        distance, index = nearest(points, codewords)
        codewords = means(points, weight, index, codewords)
        idle = np.flatnonzero(np.bincount(index, minlength=count) == 0)
        worst = np.argsort(-weight * np.square(distance), kind="stable")[:len(idle)]
        codewords[idle] = points[worst]
    return codewords


def means(points: Array, weight: Array, index: Indices, codewords: Array) -> Array:
    """The weighted means of the points that have each index; *codewords* where there are none."""
    count = len(codewords)
    mass = np.bincount(index, weight, count)[:, None]
    sums = np.stack([np.bincount(index, weight * each, count) for each in points.T], 1)
    found: Array = np.where(mass > 0, sums / np.where(mass > 0, mass, 1.0), codewords)
    return found


def _first(points: Array, weight: Array, count: int, stream: Stream) -> Array:
    """*count* of the points: far ones are likelier to be drawn, by the square of the distance.

    All of a turn are drawn at once (as in Bahmani et al., "Scalable K-Means++", VLDB 2012),
    without putting back.
    """
    chosen = _drawn(weight, -(-count // _DRAWS), stream)
    while len(chosen) < count:
        distance, _ = nearest(points, points[chosen])
        many = min(-(-count // _DRAWS), count - len(chosen))
        more = _drawn(weight * np.square(distance), many, stream)
        chosen = np.concatenate([chosen, more])
    return points[chosen]


def _drawn(weight: Array, count: int, stream: Stream) -> Indices:
    """*count* different indices, each as likely as its weight (Efraimidis and Spirakis, 2006)."""
    waits = -np.log(stream.uniform(len(weight))) / np.maximum(weight, _HARDLY)
    return np.argsort(waits, kind="stable")[:count]
