"""The linear relaxation of one budget: its price and the choice just before the limit.

The lower convex hulls of the groups turn the relaxation into a list of steps, each of which saves
cost at some loss; taken by rising loss per cost saved, the step that first keeps to the limit is
the fractional one, and its slope the price of the budget (Sinha and Zoltners, Operations Research
27, 1979). No full sort is needed to find it (Zemel, Information Processing Letters 18, 1984): as
in Floyd and Rivest's selection ("Expected time bounds for selection", Communications of the ACM
18, 1975), a sample of the groups brackets the price, and only steps within the bracket are made
and sorted. The expected effort is linear in the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mpsearch.allocation.knapsack.plain import Floats, Indices

_SHARE = 16  # groups of which one is in the sample
_FEW = 100  # a sample of fewer groups tells too little
_DEVIATIONS = 2.5  # standard errors of the sample's cost to either side
_EXACT = 2.0**53  # whole numbers up to here are exact


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """The choice *pick* (a scheme a group) that is best at *price* and just above the limit.

    *within* is a choice that keeps to the limit, as a rule the same but for one group.
    """

    price: float
    pick: Indices
    within: Indices


def reference(losses: Floats, costs: Floats, limit: float, kernels: ModuleType,
              top: float) -> Reference | None:
    """The reference of a table (groups, schemes) within *limit*; None if it is out of reach.

    Prices are up to *top*.
    """
    found = _Bracket.of(losses, costs, limit, kernels, top)
    if found is None:
        return None
    if found.over <= 0:
        return Reference(price=0.0, pick=found.dear, within=found.dear)
    last = found.last(found.over)
    pick, after = found.after(last), found.after(last + 1)
    if _above(chosen(costs, after), limit) > 0:
        after = found.cheap
    return Reference(price=float(found.slopes[last]), pick=pick, within=after)


def chosen(table: Floats, pick: Indices) -> Floats:
    """What each group has in a *table* (groups, schemes) in the scheme of the *pick*."""
    groups, schemes = table.shape
    return np.asarray(table.ravel()[np.arange(0, groups * schemes, schemes) + pick])


def _rising(slopes: Floats) -> Indices:
    """The order of rising *slopes*, of equal ones as they come."""
    order = np.argsort(slopes)  # faster than a stable one, which only ties need
    found = slopes[order]
    return np.argsort(slopes, kind="stable") if (found[1:] == found[:-1]).any() else order


def _above(values: Floats, limit: float) -> float:
    """How far a choice's costs are above the *limit*: the sign is exact, the rest rounded."""
    above = float(values.sum()) - limit
    if abs(above) > 2 * values.size * np.finfo(float).eps * float(np.abs(values).sum()):
        return above
    return exact_sum(values) - limit


def exact_sum(values: Floats, *more: float) -> float:
    """The sum of *values* and *more*, correctly rounded."""
    if not more and (values == np.rint(values)).all() and np.abs(values).sum() < _EXACT:
        return float(values.sum())
    return math.fsum([*values.tolist(), *more])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bracket:
    """Choices at two prices between which the price is, and the steps between them by slope.

    *over* is how far *dear* is above the limit; *cheap* is within it.
    """

    dear: Indices
    cheap: Indices
    over: float
    slopes: Floats
    saved: Floats
    groups: Indices
    reached: Indices

    @classmethod
    def of(cls, losses: Floats, costs: Floats, limit: float, kernels: ModuleType,
           top: float) -> _Bracket | None:
        """The bracket that a sample of the groups suggests, widened where it has to be."""
        low, high = _guess(losses, costs, limit, kernels, top)
        misses = 0
        while True:
            (dear, cheap), spent, steps = kernels.between(losses, costs, low, high, top)
            over, within = _above(spent[0], limit), _above(spent[1], limit) <= 0
            if over <= 0 and low > 0:
                low, misses = (low / 2 if not misses else 0.0), misses + 1
            elif not within and high < math.inf:
                high, misses = (high * 2 if not misses else math.inf), misses + 1
            elif not within:
                return None
            else:
                break
        order = _rising(steps[0])
        slopes, saved, groups, reached = (column[order] for column in steps)
        return cls(dear=dear, cheap=cheap, over=over, slopes=slopes, saved=saved, groups=groups,
                   reached=reached)

    def last(self, over: float) -> int:
        """The step that takes off what is left of *over*; the last one if none does."""
        return min(int(np.searchsorted(np.cumsum(self.saved), over)), self.slopes.size - 1)

    def after(self, count: int) -> Indices:
        """The choice after so many steps."""
        pick = self.dear.copy()
        pick[self.groups[:count]] = self.reached[:count]
        return pick


def _guess(losses: Floats, costs: Floats, limit: float, kernels: ModuleType,
           top: float) -> tuple[float, float]:
    """Prices that most probably have the price between them; of few groups, all prices."""
    count = len(losses) // _SHARE
    if count < _FEW:
        return 0.0, math.inf
    sample = np.arange(count) * _SHARE + np.random.default_rng(0).integers(0, _SHARE, count)
    sizes = costs[:, 0] if (costs[:, 0] > 0).all() else np.ones(len(losses))
    losses, costs, each = losses[sample], costs[sample], sizes[sample]
    each *= limit / float(sizes.sum())  # costs go with sizes, so that these tell what is typical
    found = _Bracket.of(losses, costs, float(each.sum()), kernels, top)
    if found is None or found.over <= 0:
        return 0.0, math.inf
    spent = chosen(costs, found.after(found.last(found.over))) - each
    error = _DEVIATIONS * float(spent.std()) * math.sqrt(count)
    saved = np.cumsum(found.saved)
    low, high = np.searchsorted(saved, [found.over - error, found.over + error])
    return (float(found.slopes[low - 1]) if low else 0.0,
            float(found.slopes[high]) if high < saved.size else math.inf)
