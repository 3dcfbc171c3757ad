"""What groups add to each other's loss: tables of pairs, and a factor of all pairs at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.rows import Row
from mpsearch.core.errors import BadInput

Matrix = NDArray[np.float64]
_LARGEST_VALUE, _LARGEST_FACTOR = 1e300, 1e140  # sums, and sums of products, must not overflow
_MANTISSA = 53


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """What the groups *first* and *second* add to the loss together.

    *values* has a row for every candidate of *first* and a column for every one of *second*;
    infinity forbids the two candidates to stand together.
    """

    first: int
    second: int
    values: Matrix


def checked_pairs(pairs: Sequence[Pair], sizes: Sequence[int]) -> tuple[Pair, ...]:
    """Read-only pairs in order, those of the same two groups added up, without empty ones.

    Raises:
        BadInput: a group that does not exist, or values of another shape or not usable.
    """
    tables: dict[tuple[int, int], Matrix] = {}
    for pair in pairs:
        i, j, values = pair.first, pair.second, np.array(pair.values, dtype=np.float64)
        if i == j or not (0 <= i < len(sizes) and 0 <= j < len(sizes)):
            raise BadInput(f"a pair of groups {i} and {j} cannot be: name two of the "
                           f"{len(sizes)} groups, counted from 0")
        if values.shape != (sizes[i], sizes[j]):
            raise BadInput(f"the pair of groups {i} and {j} has values of shape {values.shape}, "
                           f"not ({sizes[i]}, {sizes[j]}), one for every two candidates")
        if not (np.isposinf(values) | (np.abs(values) < _LARGEST_VALUE)).all():
            raise BadInput(f"the pair of groups {i} and {j} has a value that is neither a finite "
                           "number nor +inf, which forbids it: correct it")
        key, table = ((i, j), values) if i < j else ((j, i), values.T)
        tables[key] = tables[key] + table if key in tables else table
    for table in tables.values():
        table.flags.writeable = False
    return tuple(Pair(first=i, second=j, values=tables[i, j])
                 for i, j in sorted(tables) if tables[i, j].any())


def checked_factor(factor: Matrix | None, columns: int) -> Matrix | None:
    """A read-only factor with so many columns; None where it adds nothing.

    Raises:
        BadInput: another shape, or values that are not finite.
    """
    if factor is None:
        return None
    values = np.array(factor, dtype=np.float64)
    if not values.size or not values.any():
        return None
    if values.ndim != 2 or values.shape[1] != columns:  # noqa: PLR2004 - rows and columns
        raise BadInput(f"the factor has the shape {values.shape}: give it {columns} columns, one "
                       "for every candidate of every group")
    if not np.abs(values).max() < _LARGEST_FACTOR:
        raise BadInput("the factor has a value that is not a finite number: measure it again")
    values.flags.writeable = False
    return values


def columns_of(sizes: Sequence[int], choice: Sequence[int]) -> NDArray[np.intp]:
    """The columns of all candidates in order that *choice* picks."""
    starts = np.cumsum([0, *sizes])[:-1]
    return np.asarray(starts + np.asarray(choice, dtype=np.intp))


def terms(pairs: Sequence[Pair], choice: Sequence[int]) -> Iterator[float]:
    """What every pair adds to a *choice*."""
    return (float(pair.values[choice[pair.first], choice[pair.second]]) for pair in pairs)


def crossed(factor: Matrix, columns: NDArray[np.intp]) -> Fraction:
    """What all groups add to each other where they pick these *columns*, without rounding."""
    mantissas, exponents = np.frexp(factor[:, columns])
    low = int(exponents.min())
    whole = np.ldexp(mantissas, _MANTISSA).astype(np.int64).astype(object)
    whole <<= (exponents - low).astype(object)
    sums = whole.sum(axis=1)
    total = int((sums * sums).sum() - (whole * whole).sum())
    return Fraction(total) * Fraction(2) ** (2 * (low - _MANTISSA))


def objective(losses: Sequence[Row], pairs: Sequence[Pair], factor: Matrix | None,
              choice: Sequence[int]) -> float:
    """Total loss of *choice*, correctly rounded; infinite where a pair is forbidden."""
    single = [float(row[k]) for row, k in zip(losses, choice, strict=True)]
    values = [*single, *terms(pairs, choice)]
    if factor is None or math.inf in values:
        return math.fsum(values)
    columns = columns_of([row.size for row in losses], choice)
    return float(sum(map(Fraction, values), start=crossed(factor, columns)))


def partners(pairs: Sequence[Pair], factor: Matrix | None, group: int,
             columns: slice) -> Iterator[Row]:
    """What must not grow for one candidate of *group* to replace another in any choice.

    Each row has a value a candidate: what it adds beside each candidate of another group, and
    its column of the factor, with both signs, as that may be met by either.
    """
    for pair in pairs:
        if pair.first == group:
            yield from pair.values.T
        elif pair.second == group:
            yield from pair.values
    for row in () if factor is None else factor[:, columns]:
        yield from (row, -row)
