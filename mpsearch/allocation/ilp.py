"""Exact allocation by integer programming, with a certificate that does not rest on the solver."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from mpsearch.allocation import program
from mpsearch.allocation.additive import factored
from mpsearch.allocation.answer import answer
from mpsearch.allocation.core import Core
from mpsearch.allocation.duals import core_duals
from mpsearch.allocation.limits import Conflict, trimmed
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.allocation.state import State
from mpsearch.allocation.swaps import improve, repair

_BEAM = 32  # partial choices kept by the first, quick sweep
_MARGINS = (0.0, 1e-8)  # shares of each limit kept back, the second against what tolerances let by


@dataclass(frozen=True, slots=True, kw_only=True)
class Ilp:
    """Least total loss within any number of budgets, one candidate a group.

    Bounds from the linear relaxation drop the candidates that no best choice can hold. A sweep
    that tries up to *expansions* partial choices settles what is left, usually for good; what it
    leaves open goes to *solver* through PuLP for up to *time_limit_s* seconds, is finished by
    exact swaps of one or two groups, and swept again. So "optimal" is proven by exact arithmetic
    on costs and rounding-safe bounds on losses, whatever the solver's tolerances, and holds to
    1e-9 of the loss above the unavoidable. With no *expansions* all is left to the solver.

    Pairs of groups become columns of the program; where a sweep of the pairs' graph does not
    prove the choice, the bound is the solver's, lowered by what its tolerances may hide.
    """

    time_limit_s: float = 60.0
    solver: str = "HiGHS"
    expansions: int = 8_000_000

    def __call__(self, problem: Problem) -> Selection:
        """The best choice of *problem*, its proven bound and its costs.

        Raises:
            Infeasible: no choice keeps to the limits; a `BelowFloor` where one limit is to blame.
            Unsupported: the problem has a factor of interactions.
        """
        factored(problem, "ilp")
        steps = trimmed(problem)
        reduced = steps[-1].problem
        if reduced.pairs:
            from mpsearch.allocation import paired  # late: most problems have none

            return paired.solve(problem, steps, solver=self.solver,
                                seconds=self.time_limit_s, expansions=self.expansions)
        state = self._solve(State(core=Core.of(reduced)).narrowed())
        if state.best is None:
            raise Conflict(problem, proven=state.closed, searched=self.time_limit_s)
        return answer(problem, steps, state.best, base=state.core.base, low=state.low,
                      excess=state.excess)

    def _solve(self, state: State) -> State:
        deadline = time.monotonic() + self.time_limit_s
        if self.expansions:
            state = self._swept(state, deadline, _BEAM * state.core.size)
        state = self._swept(state, deadline, self.expansions // 8)
        if not state.closed and state.core.open:
            state = self._programmed(state, deadline)
        if time.monotonic() < deadline:
            state = self._swept(state, deadline, self.expansions)
        return state

    def _swept(self, state: State, deadline: float, expansions: int) -> State:
        """The state after a sweep that tries about so many partial choices."""
        if state.closed or (state.core.open and not expansions):
            return state
        width = max(_BEAM, expansions // max(1, state.core.size))
        return self._priced(state, deadline).swept(width)

    def _priced(self, state: State, deadline: float) -> State:
        """Weigh several budgets by their prices in the relaxation of what is left."""
        if len(state.core.room) <= 1 or not state.core.open:
            return state
        seconds = max(0.0, deadline - time.monotonic())
        prices = core_duals(state.core, seconds)
        found = () if prices is None or not prices.any() else (prices,)
        return replace(state, weights=found or state.weights)

    def _programmed(self, state: State, deadline: float) -> State:
        """The state after the solver had its say, once more with less room if it took too much."""
        for margin in _MARGINS:
            answer = program.solve(state.core, solver=self.solver, margin=margin,
                                   seconds=max(0.0, deadline - time.monotonic()))
            if answer.infeasible and not margin and state.best is None:
                return replace(state, low=math.inf)
            choice = answer.choice and repair(state.core, answer.choice)
            state = state.offer(choice, 0.0 if margin else answer.bound)
            if choice or answer.choice is None:
                break
        if state.best is None:
            state = state.offer(repair(state.core, state.core.least()), 0.0)
        if state.best is not None:
            state = state.offer(improve(state.core, state.best), 0.0)
        return state.narrowed()
