"""Pairs of groups by integer program: what the solver finds, improved, and proven where it can be.

Nothing but the solver's bound, made safe, holds where a sweep over the graph of pairs is too wide.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from mpsearch.allocation import program, sparse
from mpsearch.allocation.answer import answer
from mpsearch.allocation.core import Core
from mpsearch.allocation.exchange import Landscape
from mpsearch.allocation.forbidden import Forbidden
from mpsearch.allocation.interactions import terms
from mpsearch.allocation.problem import Derived, Problem
from mpsearch.allocation.selection import Selection
from mpsearch.allocation.shifted import shifted
from mpsearch.allocation.state import State

_LARGEST = 1 << 22  # entries of the tables of a proof
_MARGINS = (0.0, 1e-8)  # shares of each limit kept back, the second against what tolerances let by


def solve(problem: Problem, steps: Sequence[Derived], *, solver: str, seconds: float,
          expansions: int) -> Selection:
    """Solve the last of *steps*, made from *problem*, by *solver*; prove it by *expansions*.

    Raises:
        Infeasible: no choice keeps to the limits and has no forbidden pair, or none was found.
    """
    deadline = time.monotonic() + seconds
    within = State(core=Core.of(steps[-1].problem)).narrowed()
    if within.low == math.inf:
        raise Forbidden(problem, proven=True)
    # What costs more than a limit leaves over is too large a number for solvers.
    steps = [*steps, steps[-1].problem.only(within.core.kept)]
    core = Core.of(steps[-1].problem)
    base = core.base + shifted(core)[1]
    found, infeasible = _programmed(core, solver, deadline)
    if not infeasible and expansions:
        left = max(0.0, deadline - time.monotonic())
        state = sparse.solve(core, largest=_LARGEST, expansions=expansions, known=found,
                             seconds=left)
        if state is not None:
            infeasible = state.best is None and state.closed
            found = program.Answer(choice=state.best, bound=max(found.bound, state.low),
                                   infeasible=infeasible)
    if found.choice is None:
        raise Forbidden(problem, proven=infeasible, searched=seconds)
    excess = _excess(core, found.choice)
    return answer(problem, steps, found.choice, base=base, low=max(0.0, found.bound),
                  excess=excess)


def _programmed(core: Core, solver: str, deadline: float) -> tuple[program.Answer, bool]:
    """The solver's answer, within the limits and improved, and whether it says there is none."""
    first = program.solve(core, solver=solver, seconds=max(0.0, deadline - time.monotonic()))
    if first.infeasible:
        return first, True
    choice = first.choice
    if choice is not None and not core.problem.meets(choice):
        choice = program.solve(core, solver=solver, margin=_MARGINS[1],
                               seconds=max(0.0, deadline - time.monotonic())).choice
    if choice is not None and not core.problem.meets(choice):
        choice = None
    if choice is not None:
        choice = Landscape.of(core).improve(choice)
    return program.Answer(choice=choice, bound=first.bound, infeasible=False), False


def _excess(core: Core, choice: Sequence[int]) -> float:
    """Loss of a *choice* of a whole *core* above its smallest losses and pairs."""
    return math.fsum([core.excess(choice), *terms(shifted(core)[0], choice)])
