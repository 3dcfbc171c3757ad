"""Pairs in an integer program: a column for every two candidates, which transports both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpsearch.allocation.interactions import Pair


def largest(pairs: Sequence[Pair]) -> float:
    """The largest finite value of all *pairs*."""
    finite = [pair.values[np.isfinite(pair.values)] for pair in pairs]
    return max((float(values.max()) for values in finite if values.size), default=0.0)


def couple(program: Any, columns: Mapping[int, Sequence[Any]], pairs: Sequence[Pair],
           scale: float) -> int:
    """Add *pairs*, in units of *scale*, to a PuLP *program*; returns how many columns that took.

    For every candidate the columns of its pairs with another group's add up to its own column,
    which is as tight as a linear form of one pair gets (the local polytope: Wainwright and
    Jordan, 2008). Where a pair only forbids, what stands against a candidate is counted instead.
    """
    import pulp

    cells: list[tuple[Any, float]] = []
    for number, pair in enumerate(pairs):
        rows, others = columns[pair.first], columns[pair.second]
        allowed = np.isfinite(pair.values)
        if not pair.values[allowed].any():
            for a, row in enumerate(rows):
                against = [(others[b], 1) for b in np.flatnonzero(~allowed[a]).tolist()]
                if against:
                    program += pulp.LpAffineExpression([(row, 1), *against]) <= 1
            continue
        own = {(a, b): program.add_variable(f"z{number:06}_{a:04}_{b:04}", 0, None)
               for a, b in np.argwhere(allowed).tolist()}
        for a, row in enumerate(rows):
            program += _summed([own[key] for key in own if key[0] == a], row)
        for b, row in enumerate(others):
            program += _summed([own[key] for key in own if key[1] == b], row)
        cells += [(cell, float(pair.values[key]) / scale) for key, cell in own.items()]
    program.objective += pulp.LpAffineExpression([(cell, value) for cell, value in cells if value])
    return len(cells)


def _summed(cells: Sequence[Any], column: Any) -> Any:
    import pulp

    return pulp.LpAffineExpression([*[(cell, 1) for cell in cells], (column, -1)]) == 0
