"""What allocators without a proof of their own share: repair, and a bound from the relaxation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.descent import by_ratio
from mpsearch.allocation.ilp import Ilp
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.reduced import Reduced
from mpsearch.allocation.selection import Selection
from mpsearch.allocation.swaps import repair

_PAIRS = 4_000  # candidates up to which exact repair, which looks at all pairs, is worth a try


def settled(reduced: Reduced, choice: Sequence[int],
            weightings: Sequence[Floats] | None = None) -> Selection:
    """*choice* of the core's problem, brought within the limits, with a proven bound.

    First by single changes of least loss per cost; where several limits get in each other's way
    by exact swaps; and last by any choice that an integer program finds. *weightings* are those
    of *reduced*, if they are known already.

    Raises:
        Infeasible: no choice keeps to the limits.
    """
    core = reduced.core
    low = reduced.relaxed(reduced.weightings() if weightings is None else weightings)
    found: tuple[int, ...] | None = tuple(choice)
    if not core.problem.meets(tuple(choice)):
        found = by_ratio(core, choice)
    if found is not None and not core.problem.meets(found):
        found = repair(core, found) if core.size <= _PAIRS else None
    return reduced.selection(found or any_within(core.problem), low)


def any_within(problem: Problem) -> tuple[int, ...]:
    """Some choice within the limits, whatever its loss.

    Raises:
        Infeasible: there is none.
    """
    return Ilp()(replace(problem, losses=tuple(map(np.zeros_like, problem.losses)))).choice
