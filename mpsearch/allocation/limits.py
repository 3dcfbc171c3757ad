"""Budgets that cannot be met, said in a way that helps to set one that can."""

from __future__ import annotations

from mpsearch.allocation.problem import Derived, Problem
from mpsearch.core.errors import Infeasible


class BelowFloor(Infeasible):
    """One limit is below the least that any choice costs on its *metric*; both are in its unit."""

    def __init__(self, metric: str, limit: float, floor: float) -> None:
        super().__init__(f"no choice has {metric} within {limit:.12g}: the least possible is "
                         f"{floor:.12g}, so raise the limit or add smaller candidates")
        self.metric, self.limit, self.floor = metric, limit, floor


class Conflict(Infeasible):
    """Every limit can be met alone, but no choice is known to meet them all (*proven*: exists)."""

    def __init__(self, problem: Problem, *, proven: bool, searched: float = 0.0) -> None:
        limits = " and ".join(f"{metric} within {limit:.12g}" for metric, limit
                              in zip(problem.metrics, problem.limits, strict=True))
        super().__init__(
            f"no choice has {limits} together, though each can be met alone: raise one of them"
            if proven else f"found no choice with {limits} together within {searched:g} s, though "
            "each can be met alone: raise one of them, or the time limit")
        self.proven = proven


def check_floors(problem: Problem) -> None:
    """Compare every limit with its floor.

    Raises:
        BelowFloor: a limit that no choice can keep to, whatever the other limits are.
    """
    for metric, (name, limit) in enumerate(zip(problem.metrics, problem.limits, strict=True)):
        floor = problem.floor(metric)
        if limit < floor:
            raise BelowFloor(name, limit, floor)


def trimmed(problem: Problem) -> tuple[Derived, Derived]:
    """The *problem* without limits that never bind, then without candidates that none needs.

    First those go that break a limit by themselves, then those that another one dominates.

    Raises:
        Infeasible: a limit is below its floor, or limits visibly exclude each other.
    """
    check_floors(problem)
    reachable = problem.binding().within_reach()
    if reachable is None:
        raise Conflict(problem, proven=True)
    return reachable, reachable.problem.without_dominated()
