"""The front of two costs behind an allocation with two kinds of budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.surface import front2
from mpsearch.core.types import ScoreTable
from mpsearch.report.surface import Surface, SurfacePoint
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.limits import Row

POINTS = 10
"""Limits on each of the two costs."""
_AXES = {"size": "bits per weight", "bops": "GBOPs", "latency": "ms", "energy": "mJ"}
_WHOLE = ("latency", "energy")
_TWO = 2


def surface_of(allocation: Allocation, model: str, points: int = POINTS) -> Surface | None:
    """Policies over both costs that the budgets limit, None unless these are two different ones."""
    rows = [row for row in _tightest(allocation.budgets) if not row.place]
    if len(rows) != _TWO:
        return None
    problem = Problem.from_tables(allocation.losses, [row.table for row in rows],
                                  [math.inf] * _TWO)
    solve = plugins.load("allocator", str(allocation.allocator["name"]))()
    scales = [_scale(allocation, row.table) for row in rows]
    # Sizes on the axis are of the weights alone, as bits per weight; times are of everything.
    offsets = [row.offset if row.table.metric in _WHOLE else 0.0 for row in rows]

    def placed(choice: Sequence[int]) -> SurfacePoint:
        x, y = (problem.cost(metric, choice) / scale + offset
                for metric, (scale, offset) in enumerate(zip(scales, offsets, strict=True)))
        return SurfacePoint(x=x, y=y, loss=problem.objective(choice))

    first, second = rows
    return Surface(
        model=model, estimator=allocation.estimator, unit=allocation.losses.unit,
        labels=(_AXES.get(first.table.metric, first.table.metric),
                _AXES.get(second.table.metric, second.table.metric)),
        limits=(first.limit / scales[0] + offsets[0], second.limit / scales[1] + offsets[1]),
        points=tuple(placed(found.choice) for found in front2(
            problem, (0, 1), (points, points), solve)),
        chosen=placed(allocation.selection.choice))


def _tightest(rows: Sequence[Row]) -> list[Row]:
    """One budget for each cost that is limited, the one that leaves least."""
    found: dict[str, Row] = {}
    for row in rows:
        known = found.get(row.table.metric)
        if known is None or row.limit < known.limit:
            found[row.table.metric] = row
    return list(found.values())


def _scale(allocation: Allocation, table: ScoreTable) -> float:
    """What one unit of an axis is in the table's unit."""
    weights = float(allocation.measured.record.space.weights)
    return weights if table.metric == "size" else 1e9
