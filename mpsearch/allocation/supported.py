"""All points of the convex front of one budget, from a single sort.

The linear relaxation of the multiple-choice knapsack buys steps of the groups' lower convex hulls
in order of loss saved per cost (Sinha and Zoltners, Operations Research 27, 1979). Every prefix of
that order is a choice that is best for some price of cost, and every such choice with a corner of
its own on the front is a prefix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.additive import additive
from mpsearch.allocation.bound import Floats
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supported:
    """Points of the convex front by rising *cost* and falling *loss*, one more than steps.

    *start* is the choice of the first point; step i gives group ``owner[i]`` its candidate
    ``pick[i]`` and leads from point i to point i + 1. Sums are running sums of floats, so that
    they may differ from those of `choice` in the last digits.
    """

    cost: Floats
    loss: Floats
    start: tuple[int, ...]
    owner: Indices
    pick: Indices

    def choice(self, point: int) -> tuple[int, ...]:
        """The candidates, one a group, of the *point* of that index."""
        choice = np.array(self.start)
        # Of several steps of one group the last counts, as numpy assigns in order.
        choice[self.owner[:point]] = self.pick[:point]
        return tuple(choice.tolist())


def supported(problem: Problem) -> Supported:
    """Every supported point of a *problem* with one cost, whatever its limit.

    Raises:
        BadInput: the problem has no cost, or several.
        Unsupported: it has interactions.
    """
    additive(problem, "convex front")
    if len(problem.costs) != 1:
        raise BadInput(f"the convex front is that of one cost: the problem has "
                       f"{len(problem.costs)}")
    losses, costs = _padded(problem.losses), _padded(problem.costs[0])
    start = np.lexsort((losses, costs), axis=1)[:, 0]
    owner, pick, saved, spent = _steps(losses, costs, start)
    rows = np.arange(len(start))
    least = math.fsum(losses[rows, _ends(start, owner, pick)])
    # Losses are summed from the small end, which keeps the small ones precise.
    loss = least + np.append(np.cumsum(saved[::-1])[::-1], 0.0)
    cost = math.fsum(costs[rows, start]) + np.append(0.0, np.cumsum(spent))
    return Supported(cost=cost, loss=loss, start=tuple(start.tolist()), owner=owner, pick=pick)


def _padded(rows: tuple[Floats, ...]) -> Floats:
    table = np.full((len(rows), max(row.size for row in rows)), np.inf)
    for line, row in zip(table, rows, strict=True):
        line[:row.size] = row
    return table


def _steps(losses: Floats, costs: Floats, start: Indices) -> tuple[
        Indices, Indices, Floats, Floats]:
    """The steps of all hulls, best first: group, candidate, loss saved and cost spent.

    Every group walks its hull at the same time, each time to the candidate of steepest slope.
    """
    at, groups = start.copy(), np.arange(len(start))
    walked: list[tuple[Indices, Indices, Floats, Floats]] = []
    rates, last = [np.zeros(0)], np.full(len(start), np.inf)
    while groups.size:
        here = groups, at[groups]
        saved = losses[here][:, None] - losses[groups]
        spent = costs[groups] - costs[here][:, None]
        onward = (saved > 0) & (spent > 0) & np.isfinite(costs[groups])
        rate = np.divide(saved, spent, out=np.full(saved.shape, -np.inf), where=onward)
        place = np.lexsort((-spent, -rate), axis=1)[:, 0]  # of equal slopes the longest step
        lines = np.flatnonzero(onward.any(axis=1))
        groups, place = groups[lines], place[lines]
        at[groups] = place
        # Rounding must not put a group's later step before its earlier one.
        last[groups] = np.minimum(last[groups], rate[lines, place])
        rates.append(last[groups])
        walked.append((groups, place, saved[lines, place], spent[lines, place]))
    order = np.argsort(-np.concatenate(rates), kind="stable")
    group, pick, saved, spent = (np.concatenate(column)[order]
                                 for column in zip(*walked, strict=True))
    return group, pick, saved, spent


def _ends(start: Indices, owner: Indices, pick: Indices) -> Indices:
    ends = np.array(start)
    ends[owner] = pick
    return ends
