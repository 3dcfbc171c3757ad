"""From dense tables to a choice with its proof, in numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.knapsack.choose import kernels
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.single import remaining, settle
from mpsearch.allocation.knapsack.table import Table
from mpsearch.allocation.selection import PROOF
from mpsearch.core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """A *choice* (a scheme a group) within the limit, and what is proven of it.

    *excess* is its loss above the sum of the groups' least losses, *low* a bound on that of every
    choice within the limit. *open* are the groups in which a better choice can differ from
    *near*, to the schemes in *kept* (open groups, schemes).
    """

    choice: Indices
    excess: float
    low: float
    near: Indices
    open: Indices
    kept: Mask

    @property
    def proven(self) -> bool:
        """Whether no choice is better."""
        return self.low >= self.excess * (1 - PROOF)


def solve_dense(losses: Floats, costs: Floats, limits: Sequence[float], *,
                width: int = 1 << 16) -> Answer | None:
    """The choice of least loss within one limit, or the best found; None if there is none.

    *losses* have the axes (groups, schemes) and *costs* (1, groups, schemes); where a group has
    fewer schemes, the losses beyond them are infinite and the costs 0. Limits are in the unit of
    the costs and hold for correctly rounded sums. *width* is the number of partial choices that
    the completion keeps at a time; if it was too small, the answer is not proven.

    Raises:
        BadInput: shapes that do not fit together, values that are not numbers, or other than one
            limit.
    """
    if len(limits) != 1 or not math.isfinite(limits[0]):
        raise BadInput(f"the dense solver takes one limit, a finite number, not {limits}")
    table = Table.of(losses, costs, limits)
    state = settle(table, width, kernels(losses.size))
    if state is None:
        return None
    groups, kept = remaining(table, state)
    return Answer(choice=state.pick, excess=math.ldexp(state.excess, -table.exponents[0]),
                  low=math.ldexp(state.low, -table.exponents[0]), near=state.reference.pick,
                  open=groups, kept=kept)
