"""One budget: price and bound, a quick good choice, the core, its exact completion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.knapsack.core import Core
from mpsearch.allocation.knapsack.exact import Ruler
from mpsearch.allocation.knapsack.pareto import complete
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.reference import Reference, chosen, reference
from mpsearch.allocation.knapsack.table import Table

_TRIALS = ((24, 300), (96, 300), (300, 1_000))  # groups, states at a time
_PASSES = ((False, 8), (True, 8), (True, 1))  # by slopes?, share of the width
_NEAR = 4.0  # times the largest gap of these groups: what schemes are tried
_SMALL = 3_000  # undecided groups that are worth a look at what their costs are multiples of
_FEW = 100  # groups that are completed without trials


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """A choice (a scheme a group), its loss above the groups' least and a lower bound on it.

    Both losses are in the unit of the scaled table. *gaps* are by how much each group's next best
    scheme is worse than the *reference* at its price, *slopes* that for each unit of cost: a
    choice that is better than *excess* takes the reference's scheme wherever the gap is larger
    than what *relaxed*, the bound of the relaxation, leaves. *margin* is the share of a loss that
    rounding may take. *total* is the loss of the reference, *ruler* counts its costs; *raised* is
    what the bound gained by a limit that is a multiple of what all costs are.
    """

    pick: Indices
    excess: float
    low: float
    total: float
    ruler: Ruler
    relaxed: float
    margin: float
    gaps: Floats
    slopes: Floats
    reference: Reference
    raised: float = 0.0

    @property
    def gap(self) -> float:
        """What a scheme may be worse by and still be part of a better choice."""
        return self.excess - self.relaxed - self.raised


def settle(table: Table, width: int, kernels: ModuleType) -> Settled | None:
    """The best choice within the one limit of *table*, or the best found; None if none exists.

    The completion keeps up to *width* states at a time; the bound meets the loss if that was
    enough.
    """
    found = reference(table.scaled[0], table.scaled[1][0], table.limit(0), kernels, _top(table))
    if found is None:
        return None
    state = _relaxed(table, found, kernels)
    for count, states in _TRIALS:
        groups = np.flatnonzero(state.gaps <= state.gap)
        if groups.size <= max(count, _FEW):
            break
        groups = groups[np.argpartition(state.slopes[groups], count)[:count]]
        core = Core.of(table, found, np.sort(groups), state.ruler, state.total)
        near = min(state.gap, _NEAR * float(state.gaps[groups].max()))
        state = _tried(state, core, core.kept(state.excess, near), states, kernels)[0]
        state = _aligned(state, table)[0]
    return _closed(*_aligned(state, table, always=True), width, kernels)


def _top(table: Table) -> float:
    """The largest price that no cost can make overflow."""
    largest = math.ldexp(table.largest[0], table.exponents[1])
    return float(np.finfo(float).max) / (4 * max(1.0, largest))


def remaining(table: Table, state: Settled) -> tuple[Indices, Mask]:
    """The undecided groups of a settled *table*, and which of their schemes are (groups, schemes).

    None are where the bound meets the loss.
    """
    margin = state.excess * (1 - state.margin)
    groups = np.flatnonzero(state.gaps <= state.gap) if state.low < margin else state.pick[:0]
    core = Core.of(table, state.reference, groups, state.ruler, state.total)
    return groups, core.kept(state.excess, state.gap) & np.isfinite(table.losses[groups])


def _relaxed(table: Table, found: Reference, kernels: ModuleType) -> Settled:
    """What the relaxation alone says."""
    losses, costs = table.scaled[0], table.scaled[1][0]
    gaps, slopes, better, above = kernels.second(losses, costs, found.pick, found.price)
    margin = 4 * np.finfo(float).eps * (len(losses) + 8)
    ruler = Ruler.of(chosen(table.costs[0], found.pick), table.largest[0], table.limits[0])
    total, over = float(above.sum()), ruler.above(table.exponents[1])
    relaxed = (total + found.price * over) * (1 - margin) - float(better.sum())
    changed = np.flatnonzero(found.within != found.pick)
    above[changed] = losses[changed, found.within[changed]] - losses[changed].min(
        axis=1, initial=np.inf)
    return Settled(pick=found.within, excess=float(above.sum()), low=0.0,
                   total=total, ruler=ruler, relaxed=max(0.0, relaxed), margin=margin, gaps=gaps,
                   slopes=slopes, reference=found)


def _tried(state: Settled, core: Core, mask: Mask, width: int, kernels: ModuleType, *,
           by_slope: bool = False) -> tuple[Settled, float]:
    """The state after a completion within *mask*, and a bound on what was given up in it."""
    order, items = core.items(mask, kernels, by_slope=by_slope)
    found = complete(items, state.excess, state.margin, width, kernels)
    if found.schemes is None:
        return state, found.bound
    pick = state.reference.pick.copy()
    pick[order[:len(found.schemes)]] = found.schemes
    return replace(state, pick=pick, excess=found.best), found.bound


def _aligned(state: Settled, table: Table, *, always: bool = False) -> tuple[Settled, Core]:
    """The core of what is undecided, its limit a multiple of what all its costs are.

    Such a limit is lower, and the bound higher. If not *always*, only small cores are looked at.
    """
    groups = np.flatnonzero(state.gaps <= state.gap)
    if groups.size > _SMALL and not always:
        groups = groups[:0]
    core = Core.of(table, state.reference, groups, state.ruler, state.total)
    core, lowered = core.aligned(core.kept(state.excess, state.gap))
    raised = state.reference.price * lowered * (1 - state.margin)
    return replace(state, raised=max(state.raised, raised)), core


def _closed(state: Settled, core: Core, width: int, kernels: ModuleType) -> Settled:
    """The state after a completion of all that is undecided."""
    for by_slope, share in _PASSES:
        mask = core.kept(state.excess, state.gap)
        state, bound = _tried(state, core, mask, max(1, width // share), kernels,
                              by_slope=by_slope)
        low = min(bound, state.excess * (1 - state.margin))
        state = replace(state, low=max(state.low, min(state.excess - state.gap, state.excess), low))
        if bound >= state.excess * (1 - state.margin):
            break
    return state
