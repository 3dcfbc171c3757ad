"""Budgets that cannot be met without a forbidden pair."""

from __future__ import annotations

from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import Infeasible


class Forbidden(Infeasible):
    """No choice is known that keeps to the limits and has no forbidden pair (*proven*: exists)."""

    def __init__(self, problem: Problem, *, proven: bool, searched: float = 0.0) -> None:
        limits = " and ".join(f"{metric} within {limit:.12g}" for metric, limit
                              in zip(problem.metrics, problem.limits, strict=True))
        what = f"choice without a forbidden pair{' has ' + limits if limits else ''}"
        super().__init__(f"no {what}: allow more pairs" + (", or raise a limit" if limits else "")
                         if proven else f"found no {what} within {searched:g} s: allow more pairs, "
                         "raise a limit, or the time limit")
        self.proven = proven
