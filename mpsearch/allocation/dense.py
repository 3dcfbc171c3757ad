"""A choice where all groups interact, and what is proven about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpsearch.allocation.conditional import certificate
from mpsearch.allocation.core import Core
from mpsearch.allocation.exchange import Landscape

_EVALUATIONS = 40  # of prices in one step of the bound
_STARTS = 4  # choices met by the bound that are worth improving


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A *choice* of loss *excess* above the core's base, where none has less than *low*."""

    choice: tuple[int, ...]
    excess: float
    low: float


def bounded(core: Core, start: Sequence[int], steps: int, largest: int) -> Bounded:
    """The best of what changes of one or two groups make of *start* and of the bound's choices."""
    problem, land = core.problem, Landscape.of(core)
    first = land.improve(start)
    target = problem.objective(first) - core.base
    found = certificate(core, first, steps=steps, evaluations=_EVALUATIONS, target=target,
                        largest=largest)
    met = sorted((land.value(choice), choice) for choice in found.choices if problem.meets(choice))
    choices = [first, *(land.improve(choice) for _, choice in met[:_STARTS])]
    objective, best = min((problem.objective(choice), choice) for choice in choices)
    return Bounded(choice=best, excess=objective - core.base, low=found.bound)
