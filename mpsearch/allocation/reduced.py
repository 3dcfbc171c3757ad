"""A problem cut down to the candidates that matter, and the way back with a proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.additive import additive
from mpsearch.allocation.bound import ROUNDING, Floats, Relaxation, unit_weights
from mpsearch.allocation.core import Core
from mpsearch.allocation.duals import core_duals
from mpsearch.allocation.limits import Conflict, trimmed
from mpsearch.allocation.problem import Derived, Problem
from mpsearch.allocation.selection import PROOF, Selection

_SECONDS = 60.0  # for the linear program of several budgets; without it the bound is weaker


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """*problem* without limits that never bind and candidates that no best choice needs.

    *core* holds what is left.
    """

    problem: Problem
    reachable: Derived
    useful: Derived
    core: Core

    @classmethod
    def of(cls, problem: Problem, name: str) -> Reduced:
        """What is left of *problem*, for the allocator called *name*.

        Raises:
            Unsupported: the problem has interactions.
            Infeasible: a limit is below its floor, or limits visibly exclude each other.
        """
        additive(problem, name)
        reachable, useful = trimmed(problem)
        return cls(problem=problem, reachable=reachable, useful=useful,
                   core=Core.of(useful.problem))

    def selection(self, choice: Sequence[int], low: float) -> Selection:
        """The answer to the problem that a feasible *choice* of the core's problem makes.

        *low* is a proven bound on every choice's loss above the core's base, as floats sum it.
        """
        original = self.reachable.expand(self.useful.expand(choice))
        objective = self.problem.objective(original)
        low = max(0.0, low * (1 - ROUNDING))
        bound = self.core.base + low
        if low:  # the sum may have been rounded up
            bound -= 2 * math.ulp(max(abs(self.core.base), abs(bound)))
        proven = low >= self.core.excess(choice) * (1 - PROOF)
        return Selection(choice=original, objective=objective, costs=self.problem.spent(original),
                         bound=min(objective, bound), status="optimal" if proven else "feasible")

    def weightings(self) -> list[Floats]:
        """Weights of a unit of each cost: one metric at a time, and several by their prices.

        The prices, where there are any, come last.
        """
        found = unit_weights(self.core)
        if len(found) > 1 and self.core.open:
            prices = core_duals(self.core, _SECONDS)
            found += [prices] if prices is not None and prices.any() else []
        return found

    def relaxed(self, weightings: Sequence[Floats]) -> float:
        """Optimum of the linear relaxation above the core's base, the best of *weightings*.

        Raises:
            Infeasible: the relaxation has no solution, so that limits exclude each other.
        """
        everything = np.ones(len(self.core.losses), dtype=bool)
        nothing = np.zeros((1, *self.core.room.shape), dtype=np.int64)
        low = max((float(Relaxation.of(self.core, weights).bound(everything, nothing)[0])
                   for weights in weightings), default=0.0)
        if low == math.inf:
            raise Conflict(self.problem, proven=True)
        return low
