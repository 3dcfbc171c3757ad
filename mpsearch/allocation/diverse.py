"""Several good choices that differ: the best, the best apart from it, and so on.

A choice differs from an earlier one in at least d of L groups where at most L - d of its
candidates are the earlier one's. That is a budget like any other, of cost 1 for each candidate
taken before: the no-good cut of integer programming (Balas and Jeroslow, "Canonical cuts on the
unit hypercube", 1972), with a distance. So any allocator for several budgets solves it, with its
own proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.errors import BadInput, Infeasible


def diverse(problem: Problem, allocator: Callable[[Problem], Selection], count: int, *,
            distance: int = 1, within: float | None = None) -> list[Selection]:
    """Up to *count* choices by rising loss, each *distance* groups or more from all others.

    Each is the best that keeps its distance from those before it, as far as *allocator* is exact;
    with a *distance* of 1 they are the *count* best. The end comes early where no further choice
    exists, is found, or has a loss of up to ``1 + within`` times the least. A selection's bound
    and status are about the choices that keep their distance from those before it.

    Raises:
        Infeasible: not even one choice keeps to the limits.
        BadInput: less than one choice or group of distance, or a negative *within*.
    """
    if min(count, distance) < 1 or (within is not None and within < 0):
        raise BadInput(f"cannot find {count} choices {distance} groups apart within {within} of "
                       "the least loss: give numbers of at least 1, 1 and 0")
    found = [allocator(problem)]
    if distance > len(problem.losses):
        return found
    while len(found) < count:
        try:
            answer = allocator(apart(problem, [each.choice for each in found], distance))
        except Infeasible:
            break
        if within is not None and answer.objective > _largest(found[0].objective, within):
            break
        found.append(replace(answer, costs=answer.costs[:len(problem.metrics)]))
    return sorted(found, key=lambda each: each.objective)


def apart(problem: Problem, choices: Sequence[Sequence[int]], distance: int) -> Problem:
    """The *problem* without the choices less than *distance* groups from one of *choices*."""
    shared = tuple(tuple((np.arange(row.size) == k).astype(float)
                         for row, k in zip(problem.losses, choice, strict=True))
                   for choice in choices)
    return replace(problem, costs=(*problem.costs, *shared),
                   limits=(*problem.limits, *[float(len(problem.losses) - distance)] * len(shared)),
                   metrics=(*problem.metrics, *(f"groups shared with choice {index}"
                                                for index in range(1, len(shared) + 1))))


def _largest(least: float, within: float) -> float:
    """The largest loss near enough to the *least*, which may be negative."""
    return least + within * abs(least)
