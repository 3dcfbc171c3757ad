"""The knee of a front: where more cost stops buying much."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_POINTS = 3  # of which one can lie off the line through the two others


def knee(points: Sequence[tuple[float, float]]) -> int | None:
    """Index of the point of *points*, pairs of cost and loss, furthest below the ends' chord.

    Cost and the logarithm of loss are both scaled to the range of the points, so that neither
    unit matters (Das, "On characterizing the knee of the Pareto curve based on normal-boundary
    intersection", Structural Optimization 18, 1999; on losses that fall by a factor with every
    bit, plain losses would always put it at the low end). Points without a positive loss are left
    out. Of equal distances the cheaper point counts. None where no point is below the chord.
    """
    usable = [index for index, (_, loss) in enumerate(points) if loss > 0]
    if len(usable) < _POINTS:
        return None
    cost = np.array([points[index][0] for index in usable])
    height = np.array([math.log(points[index][1]) for index in usable])
    ends = np.argmin(cost), np.argmax(cost)
    width, drop = np.ptp(cost), np.ptp(height)
    if not width or not drop:
        return None
    across = (cost - cost[ends[0]]) / width
    above = (height - height[ends[1]]) / drop
    chord = above[ends[0]] + across * (above[ends[1]] - above[ends[0]])
    below = np.where(np.isclose(above, chord, rtol=0, atol=1e-12), 0.0, chord - above)
    order = np.lexsort((cost, -below))
    return usable[int(order[0])] if below[order[0]] > 0 else None
