"""The steps to either side of a reference, from which groups still to come are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mpsearch.allocation.knapsack.plain import Floats, Indices

_TOP = 2.0**1000  # slopes above it are taken for it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """Steps of hulls to either side of a reference, those nearest to its price first.

    Of each step the slope, the cost saved (by *take*) or spent (by *give*), and its group's place
    in the order of completion.
    """

    take: tuple[Floats, Floats, Indices]
    give: tuple[Floats, Floats, Indices]

    @classmethod
    def of(cls, losses: Floats, costs: Floats, pick: Indices, price: float,
           kernels: ModuleType) -> Slopes:
        """The steps of the groups in these tables from their schemes *pick*, best at *price*."""
        dear, cheap = kernels.ends(losses, costs, 0.0, np.inf)
        slope, cost, group, _ = kernels.march(losses, costs, pick, cheap, _TOP)
        slope = np.maximum(slope, price)
        order = np.argsort(slope, kind="stable")
        take = slope[order], cost[order], group[order]
        slope, cost, group, _ = kernels.march(losses, costs, dear, pick, _TOP)
        slope = np.minimum(slope, price)
        order = np.argsort(-slope, kind="stable")
        return cls(take=take, give=(slope[order], cost[order], group[order]))
