"""Allocation where groups change each other's losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mpsearch.allocation import sparse
from mpsearch.allocation.answer import answer
from mpsearch.allocation.core import Core
from mpsearch.allocation.dense import bounded
from mpsearch.allocation.forbidden import Forbidden
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.limits import trimmed
from mpsearch.allocation.problem import Derived, Problem
from mpsearch.allocation.rewritten import as_pairs, shrunk
from mpsearch.allocation.selection import Selection

_LARGEST = 30_000_000  # entries of all tables of pairs
_COMPLETE = 200_000  # entries for which a factor is worth a table of all its pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupled:
    """Least total loss with interactions, within any number of budgets, one candidate a group.

    Sparse pairs are solved exactly: prices of the budgets are searched over the tables of a tree
    decomposition of the pairs' graph, what they rule out is dropped, and a sweep of up to
    *expansions* partial choices over the same tree settles the rest. What it leaves open, and
    graphs too far from a tree, go to *solver* as an integer program for up to *time_limit_s*
    seconds. With a factor between all groups the choice is the best that changes of one or two
    groups find from the choice without it and from those that the bound meets; the bound is that
    of up to *steps* of the conditional-gradient method, and the gap is real: few such choices
    are proven. All interactions count *shrinkage* times, from 0 (none, though what is forbidden
    stays so) to 1, in the objective and bound too. Without interactions this is `ilp`.
    """

    shrinkage: float = 1.0
    steps: int = 60
    time_limit_s: float = 60.0
    solver: str = "HiGHS"
    expansions: int = 8_000_000

    def __call__(self, problem: Problem) -> Selection:
        """The best choice of *problem*, its proven bound and its costs.

        Raises:
            Infeasible: no choice keeps to the limits, or none has no forbidden pair.
            BadInput: a shrinkage that is not within 0 and 1.
        """
        problem = shrunk(problem, self.shrinkage)
        if not problem.pairs and problem.factor is None:
            return self._ilp()(problem)
        steps = list(trimmed(problem))
        whole = as_pairs(steps[-1].problem, _COMPLETE)
        if whole is not None:
            steps[-1] = replace(steps[-1], problem=whole)
        core = Core.of(steps[-1].problem)
        if core.problem.factor is not None:
            found = bounded(core, self._start(core.problem), self.steps, _LARGEST)
            return answer(problem, steps, found.choice, base=core.base, low=found.low,
                          excess=found.excess)
        return self._sparse(problem, steps, core)

    def _sparse(self, problem: Problem, steps: Sequence[Derived], core: Core) -> Selection:
        state = sparse.solve(core, largest=_LARGEST, expansions=self.expansions,
                             seconds=self.time_limit_s, solver=self.solver)
        if state is None:
            return self._ilp()(problem)
        if state.best is None:
            raise Forbidden(problem, proven=state.closed, searched=self.time_limit_s)
        return answer(problem, steps, state.best, base=state.whole.base, low=state.low,
                      excess=state.excess)

    def _start(self, problem: Problem) -> tuple[int, ...]:
        """The best choice without the factor."""
        return replace(self, shrinkage=1.0)(replace(problem, factor=None)).choice

    def _ilp(self) -> Ilp:
        return Ilp(time_limit_s=self.time_limit_s, solver=self.solver, expansions=self.expansions)
