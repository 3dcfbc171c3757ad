"""The smallest changes of limits that let some choice keep to all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mpsearch.allocation.interactions import Pair
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import Infeasible

_STEPS = 20  # halvings of the common share: to a millionth of the whole way up


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """Limits that can be kept to, where those asked for can not.

    *alone* is for each metric the least limit that makes a choice possible beside the other limits
    as they are, None where raising that one is not enough. *together* are limits all raised by the
    same share of the way to their ceilings, given only where no limit alone is enough.
    """

    alone: tuple[float | None, ...]
    together: tuple[float, ...] | None = None


def relax(problem: Problem, allocator: Callable[[Problem], Selection]) -> Relaxation:
    """The smallest relaxations of *problem*'s limits, by an *allocator* that is exact.

    Pairs that are forbidden stay so, and *allocator* must then be one that takes pairs; what
    groups add to each other's loss plays no part. A limit that is not in the way is answered with
    what the others leave it, which may be below what was asked.
    """
    alone = tuple(_least(problem, metric, allocator) for metric in range(len(problem.limits)))
    if any(limit is not None for limit in alone):
        return Relaxation(alone=alone)
    return Relaxation(alone=alone, together=_together(problem, allocator))


def _least(problem: Problem, metric: int,
           allocator: Callable[[Problem], Selection]) -> float | None:
    """The least cost on one metric of all choices that keep to the limits on the others."""
    others = [m for m in range(len(problem.limits)) if m != metric]
    cheapest = replace(problem, losses=problem.costs[metric], factor=None,
                       pairs=_forbidding(problem),
                       costs=tuple(problem.costs[m] for m in others),
                       limits=tuple(problem.limits[m] for m in others),
                       metrics=tuple(problem.metrics[m] for m in others))
    try:
        found = allocator(cheapest)
    except Infeasible:
        return None
    return problem.cost(metric, found.choice)


def _forbidding(problem: Problem) -> tuple[Pair, ...]:
    """What may not stand together, without what pairs add to a loss."""
    return tuple(replace(pair, values=np.where(np.isposinf(pair.values), np.inf, 0.0))
                 for pair in problem.pairs)


def _together(problem: Problem, allocator: Callable[[Problem], Selection]) -> tuple[float, ...]:
    """What some choice costs that needs about the least common share of the way up."""
    low, high, share = 0.0, 1.0, 1.0
    best = problem.limits
    ways = [problem.ceiling(m) - limit for m, limit in enumerate(problem.limits)]
    for _ in range(_STEPS):
        limits = tuple(limit + share * max(0.0, way)
                       for limit, way in zip(problem.limits, ways, strict=True))
        try:
            spent = allocator(replace(problem, limits=limits, factor=None,
                                      pairs=_forbidding(problem))).costs
        except Infeasible:
            low = share
        else:
            high, best = share, tuple(map(max, spent, problem.limits))
        share = (low + high) / 2
    return best
