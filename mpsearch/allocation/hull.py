"""Fast exact allocation: relaxation, a small core, its exact completion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mpsearch.allocation.additive import additive
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.knapsack.dense import solve_dense
from mpsearch.allocation.knapsack.plain import Indices
from mpsearch.allocation.knapsack.remainder import Remainder
from mpsearch.allocation.knapsack.several import left, searched
from mpsearch.allocation.knapsack.table import Table
from mpsearch.allocation.limits import BelowFloor, Conflict
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import PROOF, Selection
from mpsearch.core.errors import Infeasible

_BUDGETS = 3  # more go to the integer program
_SMALL, _SHARE = 1_500, 0.5  # candidates that are soon handed to it, after that much effort
_HANDED = 6_000  # candidates of a core that it can be expected to make something of


@dataclass(frozen=True, slots=True, kw_only=True)
class Hull:
    """Least total loss within up to three budgets, at scale.

    One budget: the price from the lower convex hulls of the groups, a bound from it that leaves a
    small core, and a dynamic program that keeps up to *width* partial choices of it at a time.
    Two or three budgets: prices by cutting planes, a search through all choices near their bound,
    and branches where the relaxation is far off. More budgets go to the integer program, which also
    gets what the others cannot close, for up to *time_limit_s* seconds; the note of the selection
    says so. "optimal" is proven as in `Ilp`: exact arithmetic on costs, rounding-safe bounds.
    """

    width: int = 1 << 16
    time_limit_s: float = 60.0

    def __call__(self, problem: Problem) -> Selection:
        """The best choice of *problem*, its proven bound and its costs.

        Raises:
            Infeasible: no choice keeps to the limits; a `BelowFloor` where one limit is to blame.
            Unsupported: the problem has interactions.
        """
        additive(problem, "hull")
        table = Table.of_problem(problem)
        for metric, limit, floor in zip(problem.metrics, table.limits, table.floors(),
                                        strict=True):
            if limit < floor:
                raise BelowFloor(metric, limit, floor)
        table = table.binding()
        if not table.limits:
            return _selection(problem, table, table.losses.argmin(axis=1), 0.0)
        if len(table.limits) == 1:
            return self._single(problem, table)
        return self._whole(problem) if len(table.limits) > _BUDGETS else self._several(
            problem, table)

    def _whole(self, problem: Problem) -> Selection:
        answer = Ilp(time_limit_s=self.time_limit_s)(problem)
        return replace(answer, note="solved by the integer program, which suits its size")

    def _single(self, problem: Problem, table: Table) -> Selection:
        answer = solve_dense(table.losses, table.costs, table.limits, width=self.width)
        if answer is None:
            raise Conflict(problem, proven=True)
        selection = _selection(problem, table, answer.choice, answer.low)
        if selection.status == "optimal":
            return selection
        core = Remainder.of(table, answer.near, answer.open, answer.kept)
        return self._handed(problem, table, core, selection)

    def _several(self, problem: Problem, table: Table) -> Selection:
        small = np.isfinite(table.losses).sum() <= _SMALL
        found = searched(table, _SHARE if small else 1.0)
        if found.pick is None and found.low == math.inf:
            raise Conflict(problem, proven=True)
        if found.pick is None:
            return self._whole(problem)
        low = math.ldexp(found.low, -table.exponents[0])
        selection = _selection(problem, table, found.pick, low)
        if selection.status == "optimal":
            return selection
        return self._handed(problem, table, left(table, found), selection)

    def _handed(self, problem: Problem, table: Table, core: Remainder,
                known: Selection) -> Selection:
        """The better of what is *known* and what the integer program makes of the *core*."""
        if core.size > _HANDED or not self.time_limit_s:
            return replace(known, note=f"{len(core.groups)} of {len(problem.losses)} groups were "
                           "left open, too many for the integer program")
        try:
            answer = Ilp(time_limit_s=self.time_limit_s)(core.problem)
        except Infeasible:
            return known
        bound = max(known.bound, min(known.objective, answer.bound))
        if answer.objective < known.objective:
            choice = core.expand(answer.choice)
            known = _selection(problem, table, choice, 0.0)
        least = math.fsum(table.losses.min(axis=1).tolist())
        gap = known.objective - bound + 4 * math.ulp(known.objective) + 4 * math.ulp(least)
        proven = (answer.status == "optimal" and answer.objective <= known.objective) or (
            gap <= PROOF * (known.objective - least))
        return replace(known, bound=min(known.objective, bound),
                       status="optimal" if proven else "feasible",
                       note=f"{len(core.groups)} of {len(problem.losses)} groups were left to the "
                       "integer program")


def _selection(problem: Problem, table: Table, pick: Indices, low: float) -> Selection:
    """The selection of *pick*, where no choice loses less than *low* above the groups' least."""
    choice = tuple(pick.tolist())
    objective = problem.objective(choice)
    least = table.losses.min(axis=1)
    excess = math.fsum((table.losses[np.arange(len(pick)), pick] - least).tolist())
    return Selection(choice=choice, objective=objective, costs=problem.spent(choice),
                     bound=min(objective, math.fsum([*least.tolist(), min(low, excess)])),
                     status="optimal" if low >= excess * (1 - PROOF) else "feasible")
