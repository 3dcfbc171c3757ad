"""The predicted front: the best choice for each of many limits on one metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import BadInput, Infeasible


def front(problem: Problem, metric: int, limits: Sequence[float] | int,
          allocator: Callable[[Problem], Selection]) -> list[Selection]:
    """The selections of *allocator* for each of *limits* on the metric of that index.

    A number of *limits* stands for as many, evenly from the metric's floor to its ceiling. The
    problem's other limits stay as they are. Limits that cannot be met are left out. What comes
    back rises in cost and strictly falls in objective; what several limits share is there once.

    Raises:
        Infeasible: not even the largest limit can be met.
        BadInput: no limits, or a metric that the problem does not have.
    """
    if not 0 <= metric < len(problem.metrics):
        raise BadInput(f"there is no metric {metric} to vary: the problem has "
                       f"{len(problem.metrics)}, counted from 0")
    values: Sequence[float] = limits if not isinstance(limits, int) else (
        np.linspace(problem.floor(metric), problem.ceiling(metric), limits).tolist())
    if not values:
        raise BadInput("a front needs at least one limit")
    return _improving(_falling(problem, metric, sorted(values, reverse=True), allocator))


def _falling(problem: Problem, metric: int, limits: Sequence[float],
             allocator: Callable[[Problem], Selection]) -> list[Selection]:
    """One selection for each run of falling *limits* that it answers.

    A selection that is best within a limit is best within every smaller one that it still meets.
    """
    found: list[Selection] = []
    for limit in limits:
        if found and found[-1].costs[metric] <= limit:
            continue
        try:
            found.append(allocator(problem.limited(metric, limit)))
        except Infeasible:
            if not found:
                raise
            break
    return found


def _improving(falling: Sequence[Selection]) -> list[Selection]:
    """Selections from the tightest limit on, each only if it is better than those before it.

    A choice within a smaller limit is within a larger one too, so a worse one is of no use there.
    """
    kept: list[Selection] = []
    for selection in reversed(falling):
        if not kept or selection.objective < kept[-1].objective:
            kept.append(selection)
    return kept
