"""Budgets that exclude each other, and the smallest changes that would let them be met."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.relax import Relaxation, relax
from mpsearch.core.errors import Infeasible
from mpsearch.steps.limits import Row, limit_text

EXACT = "ilp"
"""The allocator whose word is final where there is no choice."""


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
        plugins.load("allocator", EXACT)()(problem)
    except Infeasible as error:
        raise conflict(problem, rows) from error


def conflict(problem: Problem, rows: Sequence[Row]) -> Infeasible:
    """What to say of budgets (*rows*) that no choice was found to meet together."""
    asked = " and ".join(dict.fromkeys(str(row.budget) for row in rows))
    found = relax(problem, plugins.load("allocator", EXACT)())
    limits = zip(problem.limits, found.alone, strict=True)
    if any(least is not None and least <= limit for limit, least in limits):
        return Infeasible(f"this allocator found no choice of schemes that meets {asked} together, "
                          f"though there is one: use {EXACT}")
    why = ("though each can be met alone" if found.together is None else
           "and raising one of them is not enough")
    return Infeasible(f"no choice of schemes meets {asked} together, {why}: raise "
                      f"{_written(found, rows)}")


def advice(problem: Problem, rows: Sequence[Row]) -> str:
    """The budgets to raise, and how far, so that some choice of *problem* meets all of them."""
    return _written(relax(problem, plugins.load("allocator", EXACT)()), rows)


def _written(found: Relaxation, rows: Sequence[Row]) -> str:
    if found.together is not None:
        return " and ".join(dict.fromkeys(
            f"{row.budget} to {limit_text(row, row.shown(limit))}"
            for row, limit in zip(rows, found.together, strict=True) if limit > row.limit))
    return ", or ".join(
        f"{row.budget} to {limit_text(row, row.shown(least))}"
        for row, least in zip(rows, found.alone, strict=True) if least is not None)
