"""Refusal of interactions by the allocators that take none."""

from __future__ import annotations

from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import Unsupported


def additive(problem: Problem, name: str) -> None:
    """Make sure that no group of *problem* changes what another one loses.

    Raises:
        Unsupported: it has interactions, which the allocator called *name* would leave out.
    """
    if problem.pairs:
        raise Unsupported(f"the allocator '{name}' takes no pairs of groups: use coupled or ilp")
    factored(problem, name)


def factored(problem: Problem, name: str) -> None:
    """Make sure that *problem* has no factor of all pairs.

    Raises:
        Unsupported: it has one, which the allocator called *name* would leave out.
    """
    if problem.factor is not None:
        raise Unsupported(f"the allocator '{name}' takes no factor of interactions between all "
                          "groups: use coupled")
