"""The allocation problem: one candidate a group, least loss, within every budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation import interactions, restrict
from mpsearch.allocation.interactions import Matrix, Pair
from mpsearch.allocation.rows import Row, checked, summed, tie_sources, total, undominated
from mpsearch.core.errors import BadInput, Infeasible
from mpsearch.core.types import ScoreTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Losses and costs of every candidate of every group, and a limit on each cost.

    *losses* holds one row a group with one value a candidate (rows may differ in length). *costs*
    holds such rows for every metric, and *limits* the most that each metric's sum may be.
    *metrics* and *groups* are names for messages; groups without names are called by their index.

    *pairs* are added to the loss, and may forbid candidates to stand together. So is *factor*, of
    which each row has a value for every candidate of every group, in order: two groups add twice
    the product of their columns.

    Raises:
        BadInput: no group, rows that do not fit together, or a value that is not finite.
    """

    losses: tuple[Row, ...]
    costs: tuple[tuple[Row, ...], ...] = ()
    limits: tuple[float, ...] = ()
    metrics: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    factor: Matrix | None = None

    def __post_init__(self) -> None:
        if not len(self.costs) == len(self.limits) == len(self.metrics):
            raise BadInput(f"the problem has {len(self.costs)} costs, {len(self.limits)} limits "
                           f"and {len(self.metrics)} metrics: give as many of each")
        if not self.losses:
            raise BadInput("the problem has no groups: there is nothing to allocate")
        names = self.groups or tuple(str(index) for index in range(len(self.losses)))
        losses = checked("loss", self.losses, names, None)
        sizes = [row.size for row in losses]
        for metric, limit in zip(self.metrics, self.limits, strict=True):
            if math.isnan(limit):
                raise BadInput(f"the limit on {metric} is not a number")
        values: dict[str, Any] = {
            "groups": names, "losses": losses,
            "pairs": interactions.checked_pairs(self.pairs, sizes),
            "factor": interactions.checked_factor(self.factor, sum(sizes)),
            "limits": tuple(map(float, self.limits)),
            "costs": tuple(checked(metric, rows, names, sizes)
                           for metric, rows in zip(self.metrics, self.costs, strict=True))}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_tables(cls, losses: ScoreTable, costs: Sequence[ScoreTable],
                    limits: Sequence[float], *, shrinkage: float = 0.0) -> Problem:
        """The problem of a table of losses and a table for each of *limits*.

        The losses' interactions count *shrinkage* times: not at all, unless told otherwise.

        Raises:
            BadInput: tables of different groups, a shrinkage that is not within 0 and 1, or
                whatever the problem itself refuses.
        """
        if not 0 <= shrinkage <= 1:
            raise BadInput(f"interactions cannot count {shrinkage:g} times: say 0 to 1")
        for table in costs:
            if table.groups != losses.groups:
                raise BadInput(f"the tables '{losses.metric}' and '{table.metric}' are about "
                               "different groups: make both from one search space")
        return cls(losses=_arrays(losses), costs=tuple(_arrays(table) for table in costs),
                   limits=tuple(limits), metrics=tuple(table.metric for table in costs),
                   groups=losses.groups,
                   factor=np.array(losses.factor) * math.sqrt(shrinkage) if shrinkage else None)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many candidates each group has."""
        return tuple(row.size for row in self.losses)

    def objective(self, choice: Sequence[int]) -> float:
        """Total loss of *choice* (a candidate index a group), correctly rounded."""
        return interactions.objective(self.losses, self.pairs, self.factor, choice)

    def cost(self, metric: int, choice: Sequence[int]) -> float:
        """Total cost of *choice* on the metric of that index, correctly rounded."""
        return total(self.costs[metric], choice)

    def spent(self, choice: Sequence[int]) -> tuple[float, ...]:
        """Total cost of *choice* on every metric."""
        return tuple(total(rows, choice) for rows in self.costs)

    def meets(self, choice: Sequence[int]) -> bool:
        """Whether *choice* keeps to every limit, with no tolerance, and has no forbidden pair."""
        return all(map(float.__le__, self.spent(choice), self.limits)) and not (
            self.pairs and math.inf in interactions.terms(self.pairs, choice))

    def floor(self, metric: int) -> float:
        """Least total cost that a choice can have on the metric of that index."""
        return math.fsum(float(row.min()) for row in self.costs[metric])

    def ceiling(self, metric: int) -> float:
        """Greatest total cost that a choice can have on the metric of that index."""
        return math.fsum(float(row.max()) for row in self.costs[metric])

    def limited(self, metric: int, limit: float) -> Problem:
        """The same problem with another *limit* on the metric of that index."""
        return replace(self, limits=(*self.limits[:metric], limit, *self.limits[metric + 1:]))

    def binding(self) -> Problem:
        """The same problem without the metrics whose limit no choice can exceed."""
        kept = [m for m, limit in enumerate(self.limits) if limit < self.ceiling(m)]
        return replace(self, costs=tuple(self.costs[m] for m in kept),
                       limits=tuple(self.limits[m] for m in kept),
                       metrics=tuple(self.metrics[m] for m in kept))

    def tie(self, sets: Sequence[Sequence[int]]) -> Derived:
        """The problem in which the groups of each of *sets* share one decision: their rows add up.

        Raises:
            BadInput: a group that does not exist, is in two sets, or has fewer or more candidates.
            Infeasible: every candidate of tied groups is forbidden beside itself.
        """
        sources = tie_sources(sets, self.sizes)
        names: dict[int, list[str]] = {}
        for name, source in zip(self.groups, sources, strict=True):
            names.setdefault(source, []).append(name)
        rows = summed(self.losses, sources)
        sizes = [row.size for row in rows]
        pairs, beside = restrict.tied_pairs(self.pairs, sources, sizes)
        factor, within = restrict.tied_factor(self.factor, sources, sizes)
        groups = tuple("+".join(names[source]) for source in sorted(names))
        for name, row in zip(groups, beside, strict=True):
            if np.isinf(row).all():
                raise Infeasible(f"the groups {name} cannot be tied: every candidate is "
                                 "forbidden beside itself")
        losses = tuple(row + np.where(np.isinf(pair), 0.0, pair) + cross for row, pair, cross
                       in zip(rows, beside, within, strict=True))
        whole = replace(self, losses=losses, groups=groups, pairs=pairs, factor=factor,
                        costs=tuple(summed(rows, sources) for rows in self.costs))
        allowed = whole.only([np.flatnonzero(np.isfinite(row)) for row in beside])
        return replace(allowed, sources=sources)

    def pin(self, group: int, candidate: int) -> Derived:
        """The problem in which *group* has only this *candidate*, both indices.

        Raises:
            BadInput: there is no such group or candidate.
        """
        if not (0 <= group < len(self.losses) and 0 <= candidate < self.losses[group].size):
            raise BadInput(f"cannot pin group {group} to candidate {candidate}: there are "
                           f"{len(self.losses)} groups with {', '.join(map(str, self.sizes))} "
                           "candidates, counted from 0")
        return self.only([np.array([candidate]) if index == group else np.arange(size)
                           for index, size in enumerate(self.sizes)])

    def within_reach(self) -> Derived | None:
        """The problem without candidates that break a limit even beside the cheapest of all others.

        None if that leaves a group without a candidate.
        """
        masks = [np.ones(row.size, dtype=bool) for row in self.losses]
        for metric, (rows, limit) in enumerate(zip(self.costs, self.limits, strict=True)):
            floor = self.floor(metric)
            room = limit - floor + 1e-9 * (abs(limit) + abs(floor))
            for group, row in enumerate(rows):
                masks[group] &= row - row.min() <= room
        kept = [np.flatnonzero(mask) for mask in masks]
        return self.only(kept) if all(map(len, kept)) else None

    def without_dominated(self) -> Derived:
        """The problem without candidates that another one matches in loss, interactions, costs.

        Some best choice of the problem is still in it. Of equal candidates the first stays.
        """
        ends = np.cumsum(self.sizes)
        return self.only([
            undominated([row, *(rows[group] for rows in self.costs), *interactions.partners(
                self.pairs, self.factor, group, slice(ends[group] - row.size, ends[group]))])
            for group, row in enumerate(self.losses)])

    def only(self, kept: Sequence[NDArray[np.intp]]) -> Derived:
        """The problem with only the candidates *kept*, in order, of each group."""
        rows = [tuple(row[keep] for row, keep in zip(table, kept, strict=True))
                for table in (self.losses, *self.costs)]
        problem = replace(self, losses=rows[0], costs=tuple(rows[1:]),
                          pairs=restrict.kept_pairs(self.pairs, kept),
                          factor=restrict.kept_factor(self.factor, self.sizes, kept))
        return Derived(problem=problem, sources=tuple(range(len(kept))),
                       kept=tuple(tuple(keep.tolist()) for keep in kept))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derived:
    """A smaller problem made from another, and the way back.

    *sources* names for each group of the original its group here, *kept* for each candidate here
    its index there.
    """

    problem: Problem
    sources: tuple[int, ...]
    kept: tuple[tuple[int, ...], ...]

    def expand(self, choice: Sequence[int]) -> tuple[int, ...]:
        """A *choice* of this problem as a choice of the original."""
        return tuple(self.kept[source][choice[source]] for source in self.sources)


def _arrays(table: ScoreTable) -> tuple[Row, ...]:
    return tuple(np.array(row, dtype=np.float64) for row in table.values)
