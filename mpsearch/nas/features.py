"""What predictors other than the table itself see of a choice."""

from __future__ import annotations

import numpy as np

from mpsearch.nas.landscape import Floats, Integers, Landscape, totals
from mpsearch.nas.residual import columns_of

_TINY = 1e-300


def features(landscape: Landscape, choices: Integers) -> Floats:
    """[N, features]: parts of the total by group and by unit, its logarithm, and costs.

    The parts are square roots of shares of the additive loss, so that small ones count.
    """
    parts = columns_of(landscape, choices).sum(-1)
    total = np.log(np.maximum(landscape.additive(choices), _TINY))
    costs = [totals(table, choices) / max(limit, 1.0) if np.isfinite(limit) else
             totals(table, choices) / max(float(table.max(1).sum()), 1.0)
             for table, limit in zip(landscape.costs, landscape.problem.limits, strict=True)]
    return np.column_stack([np.sqrt(parts), np.sqrt(parts @ landscape.membership.T), total,
                            total**2, *costs])
