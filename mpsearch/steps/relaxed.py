"""Budgets that exclude each other, and the smallest changes that would let them be met."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.relax import relax
from mpsearch.core.errors import Infeasible
from mpsearch.steps.limits import Row, limit_text

_EXACT = "ilp"


def require_together(rows: Sequence[Row]) -> None:
    """Check that some choice of schemes meets all budgets at once; needs no losses.

    Raises:
        Infeasible: none does; the message says which budgets to raise, and how far.
    """
    if len(rows) < 2:  # noqa: PLR2004 - one alone is held against its floor
        return
    problem = Problem.from_tables(rows[0].table, [row.table for row in rows],
                                  [row.limit for row in rows])
    try:
        plugins.load("allocator", _EXACT)()(problem)
    except Infeasible as error:
        raise conflict(problem, rows) from error


def conflict(problem: Problem, rows: Sequence[Row]) -> Infeasible:
    """What to say of budgets (*rows*) that no choice was found to meet together."""
    asked = " and ".join(str(row.budget) for row in rows)
    found = relax(problem, plugins.load("allocator", _EXACT)())
    limits = zip(rows, problem.limits, found.alone, strict=True)
    if any(least is not None and least <= limit for _, limit, least in limits):
        return Infeasible(f"this allocator found no choice of schemes that meets {asked} together, "
                          f"though there is one: use {_EXACT}")
    if found.together is not None:
        every = " and ".join(f"{row.budget} to {limit_text(row, row.shown(limit))}" for row, limit
                             in zip(rows, found.together, strict=True) if limit > row.limit)
        return Infeasible(f"no choice of schemes meets {asked} together, and raising one of them "
                          f"is not enough: raise {every}")
    each = [f"{row.budget} to {limit_text(row, row.shown(least))}"
            for row, least in zip(rows, found.alone, strict=True) if least is not None]
    return Infeasible(f"no choice of schemes meets {asked} together, though each can be met alone: "
                      f"raise {', or '.join(each)}")
