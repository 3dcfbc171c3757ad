"""Greedy descents from the best candidates, as published systems make them; baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mpsearch.allocation.descent import by_list, by_ratio
from mpsearch.allocation.heuristic import settled
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.reduced import Reduced
from mpsearch.allocation.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """Every group at its least loss, then cheaper candidates one after the other.

    *order* ``list``: all candidates of all groups in one list by rising loss; each that saves
    cost is taken until the limits are met. That is the order of Pandey et al. ("A Practical Mixed
    Precision Algorithm for Post-Training Quantization", arXiv:2302.05397) and of AIMET's automatic
    mixed precision. Theirs is a list of SQNR or of measured accuracy, and AIMET stops at an
    accuracy; a list of any losses that stops at limits on costs is ours. How much a candidate
    saves plays no part.

    *order* ``ratio``: always the change of least added loss per saved cost. MPTQ-ViT (Tai and Wu,
    arXiv:2401.14895) weighs performance and compressibility together as well, by a metric that it
    gives in words only: this ratio is ours.

    Neither looks back, so the answer is ``feasible`` unless the linear relaxation proves it best.
    With several budgets, cost is the sum of the shares of those exceeded (see `descent`).
    """

    order: Literal["list", "ratio"] = "ratio"

    def __call__(self, problem: Problem) -> Selection:
        """The choice at which the descent meets the limits of *problem*, and a proven bound.

        Raises:
            Infeasible: no choice keeps to the limits; a `BelowFloor` where one limit is to blame.
        """
        reduced = Reduced.of(problem, "greedy")
        descend = by_list if self.order == "list" else by_ratio
        return settled(reduced, descend(reduced.core, reduced.core.least()))
