"""Codewords of least squared error for weighted vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from mpsearch.quantizers.numbers import Array
from mpsearch.quantizers.random_numbers import Stream

Indices = npt.NDArray[np.intp]
_DRAWS, _MANY_DRAWS = 4, 16
"""Turns in which the first codewords are drawn, an equal share in each; more for few codewords."""
_FEW = 1 << 8
_LITTLE, _MUCH = 0.5, 1.5  # of the mean error of a codeword
_HARDLY = 1e-280  # the weight of what is drawn last


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How codewords are trained: in so many *rounds*, and how exactly.

    In them a codeword may be farther than the nearest by the share *slack* of its distance, which
    is faster. With a *step* codewords stay multiples of it: then, of points that are multiples of
    it as well, distances and sums are exact if they fit float64, in whatever order they are
    summed, so that the last digits of one machine lead to no other codewords.
    """

    rounds: int
    slack: float = 0.5
    step: float = 0.0

    def held(self, codewords: Array) -> Array:
        """*codewords* at the nearest multiples of the step."""
        return np.rint(codewords / self.step) * self.step if self.step else codewords


def nearest(points: Array, codewords: Array, slack: float = 0.0) -> tuple[Array, Indices]:
    """Distance [n] of *points* [n, d] to the nearest of *codewords* [K, d], and its index [n].

    By a tree (Friedman, Bentley, Finkel, ACM TOMS 1977): from differences and not from products,
    and in few dimensions much faster than all distances. Exact, unless *slack* allows a codeword
    that is farther by this share of the distance.
    """
    distance, index = cKDTree(codewords).query(points, eps=slack)
    return distance, index


def trained(points: Array, weight: Array, count: int, training: Training,
            seed: int = 0) -> Array:
    """*count* codewords for *points* [n, d] with their *weight* [n]; float64.

    Where there are no more points than codewords, they are the points.
    """
    if len(points) <= count:
        return points[np.arange(count) % len(points)]
    stream = Stream(seed)
    first = _first(points, weight, count, stream, training.slack)
    return improved(points, weight, first, training, stream)


def improved(points: Array, weight: Array, codewords: Array, training: Training,
             stream: Stream) -> Array:
    """*codewords* after rounds in each of which they become the means of the nearest points.

    In the first half of the rounds those that carry little of the error move to where there is
    much; later only those that have no points do, each to the point of the largest error. Sources:
    Linde, Buzo, Gray, "An Algorithm for Vector Quantizer Design" (IEEE Trans. Commun. 1980);
    Patane and Russo, "The Enhanced LBG Algorithm" (Neural Networks 2001), whose test of every
    single move is left out.
    """
    rounds = training.rounds
    for turn in range(rounds):
        distance, index = nearest(points, codewords, training.slack)
        error = weight * np.square(distance)
        codewords = means(points, weight, index, codewords)
        if turn < rounds // 2:
            codewords = _shared_out(codewords, index, error, weight, stream)
        codewords = training.held(codewords)
        idle = np.flatnonzero(np.bincount(index, minlength=len(codewords)) == 0)
        if turn >= rounds // 2 and len(idle):
            codewords[idle] = points[np.argsort(-error, kind="stable")[:len(idle)]]
    return codewords


def _shared_out(codewords: Array, index: Indices, error: Array, weight: Array,
                stream: Stream) -> Array:
    """*codewords* with those of least error beside those of most, apart by their spread."""
    count, dims = codewords.shape
    each = np.bincount(index, error, count)
    order = np.argsort(each, kind="stable")
    low, high = order[each[order] < _LITTLE * each.mean()], order[each[order] > _MUCH * each.mean()]
    many = min(len(low), len(high))
    low, high = low[:many], high[::-1][:many]
    spread = np.sqrt(each[high] / np.bincount(index, weight, count)[high] / dims)
    apart = spread[:, None] * stream.normal(many * dims).reshape(many, dims)
    moved = codewords.copy()
    moved[low] = codewords[high] + apart
    moved[high] -= apart
    return moved


def means(points: Array, weight: Array, index: Indices, codewords: Array) -> Array:
    """The weighted means of the points that have each index; *codewords* where there are none."""
    count = len(codewords)
    mass = np.bincount(index, weight, count)[:, None]
    sums = np.stack([np.bincount(index, weight * each, count) for each in points.T], 1)
    found: Array = np.where(mass > 0, sums / np.where(mass > 0, mass, 1.0), codewords)
    return found


def _first(points: Array, weight: Array, count: int, stream: Stream, slack: float) -> Array:
    """*count* of the points: far ones are likelier to be drawn, by the square of the distance.

    All of a turn are drawn at once (as in Bahmani et al., "Scalable K-Means++", VLDB 2012),
    without putting back.
    """
    share = -(-count // (_MANY_DRAWS if count <= _FEW else _DRAWS))
    chosen = _drawn(weight, share, stream)
    while len(chosen) < count:
        distance, _ = nearest(points, points[chosen], slack)
        many = min(share, count - len(chosen))
        more = _drawn(weight * np.square(distance), many, stream)
        chosen = np.concatenate([chosen, more])
    return points[chosen]


def _drawn(weight: Array, count: int, stream: Stream) -> Indices:
    """*count* different indices, each as likely as its weight (Efraimidis and Spirakis, 2006)."""
    waits = -np.log(stream.uniform(len(weight))) / np.maximum(weight, _HARDLY)
    return np.argsort(waits, kind="stable")[:count]
