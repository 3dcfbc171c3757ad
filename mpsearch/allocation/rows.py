"""Tables of numbers with one row a group: checks, exact totals, ties and dominance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpsearch.core.errors import BadInput

Row = NDArray[np.float64]
_LARGEST = 1e300  # sums of larger numbers may overflow


def checked(what: str, rows: Sequence[Row], groups: Sequence[str],
            sizes: Sequence[int] | None) -> tuple[Row, ...]:
    """Read-only float rows, one for each of *groups*, of these *sizes* where given.

    Raises:
        BadInput: a row too many or too few, empty, of another size, or with NaN or infinity.
    """
    if len(rows) != len(groups):
        raise BadInput(f"{what} has {len(rows)} rows for {len(groups)} groups")
    arrays = [np.asarray(row, dtype=np.float64) for row in rows]
    for index, values in enumerate(arrays):
        if values.ndim != 1 or not values.size:
            raise BadInput(f"{what} of group '{groups[index]}' is no row of numbers: give one a "
                           "candidate")
        if sizes is not None and values.size != sizes[index]:
            raise BadInput(f"{what} of group '{groups[index]}' has {values.size} values for "
                           f"{sizes[index]} candidates")
    # One array for all rows: a copy of each would take most of the time of a large problem.
    table = np.concatenate(arrays)
    table.flags.writeable = False
    ends = np.cumsum([values.size for values in arrays])
    bad = np.flatnonzero(~(np.abs(table) < _LARGEST))
    if bad.size:
        group = groups[int(np.searchsorted(ends, bad[0], side="right"))]
        raise BadInput(f"{what} of group '{group}' has a value that is not a finite number: "
                       "measure it again or leave that candidate out")
    return tuple(table[end - values.size:end]
                 for end, values in zip(ends.tolist(), arrays, strict=True))


def total(rows: Sequence[Row], choice: Sequence[int]) -> float:
    """Sum of the values that *choice* picks, correctly rounded."""
    return math.fsum(float(row[k]) for row, k in zip(rows, choice, strict=True))


def summed(rows: Sequence[Row], sources: Sequence[int]) -> tuple[Row, ...]:
    """Rows of the same source added up."""
    members: dict[int, list[Row]] = {}
    for row, source in zip(rows, sources, strict=True):
        members.setdefault(source, []).append(row)
    return tuple(np.array([math.fsum(column) for column in zip(*members[source], strict=True)])
                 for source in sorted(members))


def tie_sources(sets: Sequence[Sequence[int]], sizes: Sequence[int]) -> tuple[int, ...]:
    """For each group the index it has once every one of *sets* is a single group.

    Raises:
        BadInput: a group that does not exist, is in two sets, or has another number of candidates.
    """
    head = list(range(len(sizes)))
    for tied in sets:
        for group in tied:
            if not 0 <= group < len(sizes):
                raise BadInput(f"cannot tie group {group}: there are {len(sizes)} groups")
            if head[group] != group or sizes[group] != sizes[min(tied)]:
                raise BadInput(f"cannot tie groups {list(tied)}: each may be in one set only, with "
                               "as many candidates as the others")
        for group in tied:
            head[group] = min(tied)
    order = {first: index for index, first in enumerate(sorted(set(head)))}
    return tuple(order[first] for first in head)


def undominated(columns: Sequence[Row]) -> NDArray[np.intp]:
    """Candidates, in order, that no other is at least as good as in every one of *columns*.

    Less is better. Of equal candidates the first stays.
    """
    table = np.stack(columns, axis=1)
    no_worse = (table[:, None] <= table[None]).all(axis=2)
    same = no_worse & no_worse.T
    beats = (no_worse & ~same) | np.triu(same, 1)
    return np.flatnonzero(~beats.any(axis=0))
