"""Two or three budgets: prices, a good choice near the relaxation, and the core that is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.knapsack.plain import Indices
from mpsearch.allocation.knapsack.prices import Priced, priced
from mpsearch.allocation.knapsack.remainder import Remainder
from mpsearch.allocation.knapsack.table import Table
from mpsearch.allocation.state import State

_TRIALS = ((40, 60), (120, 120), (400, 120))  # groups and partial choices of each trial
_NEAR = 8.0  # times the median gap of these groups: what schemes are tried
_ENOUGH = 120  # open groups that need no further trial


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Narrowed:
    """The best choice found (None if none was), and the core that holds every better one.

    *low* is a bound on the loss of every choice above the groups' least and *excess* that of
    *pick*, in the unit of the scaled table.
    """

    pick: Indices | None
    excess: float
    low: float
    core: Remainder


def narrow(table: Table) -> Narrowed:
    """Leave open only what the relaxation of *table* cannot decide."""
    found = priced(table)
    gaps = _second(found)
    low, pick, excess = max(0.0, found.low), None, math.inf
    for count, width in _TRIALS:
        groups = np.argsort(gaps, kind="stable")[:count]
        near = found.worse[groups] <= _NEAR * float(np.median(gaps[groups])) + np.finfo(float).tiny
        tried = _tried(table, found, np.sort(groups), near[np.argsort(groups)], width)
        loss = math.inf if tried is None else _excess(table, tried)
        if loss < excess:
            pick, excess = tried, loss
        if np.count_nonzero(gaps <= excess - low) <= _ENOUGH:
            break
    gap = (excess - low) * (1 + 1e-9) + np.finfo(float).tiny
    groups = np.flatnonzero(gaps <= gap)
    mask = np.isfinite(table.losses[groups]) & (found.worse[groups] <= gap)
    return Narrowed(pick=pick, excess=excess, low=low,
                    core=Remainder.of(table, found.pick, groups, mask))


def _second(found: Priced) -> Floats:
    worse = found.worse.copy()
    worse[np.arange(len(worse)), found.pick] = np.inf
    return np.asarray(worse.min(axis=1))


def _excess(table: Table, pick: Indices) -> float:
    losses = table.scaled[0]
    return float((losses[np.arange(len(pick)), pick] - losses.min(axis=1)).sum())


def _tried(table: Table, found: Priced, groups: Indices, mask: Mask,
           width: int) -> Indices | None:
    """The best choice that a narrow sweep over these groups finds."""
    rest = Remainder.of(table, found.pick, groups, mask)
    reduced = rest.problem.within_reach()
    if reduced is None:
        return None
    core = Core.of(reduced.problem)
    cost = found.prices * np.exp2(np.array(table.exponents[1:], dtype=float))
    weights = cost * np.abs(table.limits) / np.maximum(1.0, np.abs(core.caps[:, 0]))
    known = (weights,) if weights.any() else ()
    best = State(core=core, weights=known).swept(width).best
    return None if best is None else rest.expand(reduced.expand(best))
