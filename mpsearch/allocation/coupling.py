"""From the exact additive choice to a better one where groups interact or scores are noisy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.exchange import Landscape
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.robust import settled


def least(problem: Problem, start: Sequence[int], *, factor: Floats | None = None,
          spread: Floats | None = None, kappa: float = 0.0) -> tuple[int, ...]:
    """A choice of little loss, with interactions and *kappa* standard errors added to *problem*'s.

    *start* keeps to the limits, and so does the answer: changes of one or two groups are made for
    as long as one pays. *factor* is as for `Problem`, *spread* as for `robust.penalised`. Without
    both, *start* is the answer.
    """
    choice = tuple(start)
    if factor is not None and factor.any():
        problem = replace(problem, factor=factor)
        choice = Landscape.of(Core.of(problem.binding())).improve(choice)
    if spread is not None and kappa:
        choice = settled(problem, spread, kappa, choice)
    return choice
