"""What a solve knows so far: the candidates in play, the best choice, and what is proven."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mpsearch.allocation.bound import ROUNDING, Floats, Relaxation, fix, unit_weights
from mpsearch.allocation.core import Core
from mpsearch.allocation.sweep import sweep

_ROUNDS = 8  # of dropping candidates; each makes the next one's bounds better


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """The progress of one solve; every step returns a new one.

    *best* is the best choice known. No other is better than it by having a loss above *core*'s
    base of less than *low*. *weights* are weightings of the budgets found useful.
    """

    core: Core
    best: tuple[int, ...] | None = None
    low: float = 0.0
    weights: tuple[Floats, ...] = ()

    @property
    def excess(self) -> float:
        """Loss of the best choice above the core's base; infinite while there is none."""
        return math.inf if self.best is None else self.core.excess(self.best)

    @property
    def bound(self) -> float:
        """Proven lower bound on the loss of every choice within the limits."""
        return self.core.base + min(self.low, self.excess)

    @property
    def closed(self) -> bool:
        """Whether no choice is better than the best one or, without one, none exists."""
        return self.low >= self.excess * (1 - ROUNDING)

    def relaxations(self) -> list[Relaxation]:
        """The relaxations that bound this core."""
        return [Relaxation.of(self.core, weights)
                for weights in (*unit_weights(self.core), *self.weights)]

    def offer(self, choice: tuple[int, ...] | None, low: float) -> State:
        """Take in a *choice*, if it keeps to the limits and is better, and a bound."""
        problem = self.core.problem
        better = choice is not None and problem.meets(choice) and (
            self.best is None or problem.objective(choice) < problem.objective(self.best))
        return replace(self, best=choice if better else self.best, low=max(low, self.low))

    def swept(self, width: int) -> State:
        """Sweep the core, and drop what cannot be part of a better choice."""
        found = sweep(self.core, self.relaxations(), self.excess, width)
        return self.offer(found.choice, found.bound).narrowed()

    def narrowed(self) -> State:
        """Drop candidates by cost, and by the bounds once a choice is known, while any go."""
        state = self
        for _ in range(_ROUNDS):
            if state.closed:
                break
            bounds = [] if state.best is None else state.relaxations()
            core = fix(state.core, bounds, state.excess)
            if core is None:
                return replace(state, low=math.inf)
            if core.size == state.core.size:
                break
            low = state.low * (1 - ROUNDING) - core.lifted(state.core)
            state = replace(state, core=core, low=max(0.0, low))
        return state
