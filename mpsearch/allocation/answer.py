"""The selection of a problem from a choice of what it was cut down to."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch.allocation.problem import Derived, Problem
from mpsearch.allocation.selection import PROOF, Selection


def answer(problem: Problem, steps: Sequence[Derived], choice: Sequence[int], *, base: float,
           low: float, excess: float) -> Selection:
    """The selection of *problem* for a *choice* of the last of *steps* made from it.

    Its loss is *excess* above *base*, and no choice has less than *low* above it.
    """
    for step in reversed(steps):
        choice = step.expand(choice)
    objective = problem.objective(choice)
    return Selection(choice=tuple(choice), objective=objective,
                     bound=min(objective, base + min(low, excess)), costs=problem.spent(choice),
                     status="optimal" if low >= excess * (1 - PROOF) else "feasible")
