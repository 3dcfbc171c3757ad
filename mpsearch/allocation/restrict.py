"""Interactions of a problem of which some candidates are left out, or some groups tied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.interactions import Matrix, Pair
from mpsearch.allocation.rows import Row


def kept_pairs(pairs: Sequence[Pair], kept: Sequence[NDArray[np.intp]]) -> tuple[Pair, ...]:
    """The *pairs* between the candidates *kept* in each group."""
    return tuple(Pair(first=pair.first, second=pair.second,
                      values=pair.values[np.ix_(kept[pair.first], kept[pair.second])])
                 for pair in pairs)


def kept_factor(factor: Matrix | None, sizes: Sequence[int],
                kept: Sequence[NDArray[np.intp]]) -> Matrix | None:
    """The columns of the candidates *kept* in each group."""
    if factor is None:
        return None
    starts = np.cumsum([0, *sizes])[:-1]
    return factor[:, np.concatenate([s + k for s, k in zip(starts, kept, strict=True)])]


def tied_pairs(pairs: Sequence[Pair], sources: Sequence[int],
               sizes: Sequence[int]) -> tuple[tuple[Pair, ...], tuple[Row, ...]]:
    """Pairs between tied groups, and what tied groups' members add to each other.

    *sources* names the new group of each group, *sizes* the new groups' numbers of candidates.
    """
    inner = tuple(np.zeros(size) for size in sizes)
    outer = []
    for pair in pairs:
        i, j = sources[pair.first], sources[pair.second]
        if i == j:
            inner[i][:] += pair.values.diagonal()
        else:
            outer.append(Pair(first=i, second=j, values=pair.values))
    return tuple(outer), inner


def tied_factor(factor: Matrix | None, sources: Sequence[int],
                sizes: Sequence[int]) -> tuple[Matrix | None, tuple[Row, ...]]:
    """The same for a factor: tied groups' columns add up."""
    inner = [np.zeros(size) for size in sizes]
    if factor is None:
        return None, tuple(inner)
    columns = [np.zeros((len(factor), size)) for size in sizes]
    start = 0
    for source in sources:
        own = factor[:, start:start + sizes[source]]
        inner[source] += 2 * (columns[source] * own).sum(axis=0)
        columns[source] += own
        start += sizes[source]
    return np.concatenate(columns, axis=1), tuple(inner)
