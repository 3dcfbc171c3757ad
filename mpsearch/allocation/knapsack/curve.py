"""The relaxation of the groups still to come, for many amounts of cost at once."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mpsearch.allocation.knapsack.plain import Curve, Floats, Indices

_TOP = 2.0**1000


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

    def curve(self, first: int, margin: float) -> Curve:
        """Least loss that groups from place *first* on add for each cost they are to save.

        Beyond all that they can save it is infinite; sums of that may be short by *margin*.
        """
        slope, cost, group = self.take
        still = group >= first
        take, saved = slope[still], np.append(0.0, np.cumsum(cost[still]))
        lost = np.append(0.0, np.cumsum(cost[still] * take))
        slope, cost, group = self.give
        still = group >= first
        give, spent = slope[still][::-1], np.append(0.0, np.cumsum(cost[still]))[::-1]
        gained = np.append(0.0, np.cumsum(cost[still] * slope[still]))[::-1]
        ends = np.concatenate([-spent, saved[1:]])
        ends[-1] *= 1 + margin if take.size else 1.0
        starts = np.concatenate([[0.0], -spent[1:], saved[:-1], [0.0]])
        values = np.concatenate([-gained[:1], -gained[1:], lost[:-1], [np.inf]])
        return ends, starts, values, np.concatenate([[0.0], give, take, [0.0]])
