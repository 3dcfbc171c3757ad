"""Budgets divided between families of layers, where scores compare within a family only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import Infeasible
from mpsearch.core.types import ScoreTable
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.choice import Choice, runnable, totals_of
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.session import Session

RATIOS = tuple(float(each) for each in np.geomspace(0.5, 2.0, 9))
"""How many times the bits of the others one family gets: even divisions in both directions."""


def couple(session: Session, allocation: Allocation, progress: ProgressBar) -> Allocation:
    """The division of the budget whose policy has the least KL on the calibration data.

    For a ratio k of one family's bits to the others', the families' shares of a budget B are such
    that they add up to B (MixDQ, Zhao et al., 2024, where two families are divided at fixed
    ratios); each family is solved by itself within its share. *allocation* is what one program
    over all families chose, and one of the candidates. Nothing changes where all groups are of
    one family.
    """
    table = allocation.losses
    names = list(dict.fromkeys(table.families))
    if len(names) < 2:  # noqa: PLR2004 - nothing to divide
        return allocation
    found = dict.fromkeys([allocation.selection.choice, *_divisions(allocation, names)])
    choices = [choice for choice in found if allocation.meets(choice)]
    policies = {str(number): runnable(allocation.measured, choice)
                for number, choice in enumerate(choices)}
    measured = measure_policies(session, policies, progress, split="calibration")
    best = min(range(len(choices)), key=lambda n: measured[str(n)].evaluation.kl)
    return _with(allocation, choices[best], len(choices))


def _with(allocation: Allocation, choice: Choice, candidates: int) -> Allocation:
    problem = allocation.problem
    selection = replace(allocation.selection, choice=choice, objective=problem.objective(choice),
                        costs=problem.spent(choice), status="feasible")
    return replace(
        allocation, selection=selection,
        allocator={**allocation.allocator, "families": list(dict.fromkeys(
            allocation.losses.families)), "candidates_measured": candidates},
        totals=totals_of(allocation.measured, choice, allocation.losses))


def _divisions(allocation: Allocation, names: Sequence[str]) -> list[Choice]:
    made = []
    for name in names:
        for ratio in RATIOS:
            choice = _solve(allocation, {each: ratio if each == name else 1.0 for each in names})
            if choice is not None:
                made.append(choice)
    return made


def _solve(allocation: Allocation, weights: dict[str, float]) -> Choice | None:
    """Every family within its share of every budget; None if a share is below its floor."""
    settings = dict(allocation.allocator)
    solve = plugins.load("allocator", settings.pop("name"))(**settings)
    choice = [0] * len(allocation.losses.groups)
    for family in weights:
        inside = [i for i, own in enumerate(allocation.losses.families) if own == family]
        part = Problem.from_tables(
            _rows(allocation.losses, inside),
            [_rows(row.table, inside) for row in allocation.budgets],
            [_share(allocation, index, family, weights)
             for index in range(len(allocation.budgets))])
        try:
            chosen = solve(part).choice
        except Infeasible:
            return None
        for place, k in zip(inside, chosen, strict=True):
            choice[place] = k
    return tuple(choice)


def _share(allocation: Allocation, index: int, family: str, weights: dict[str, float]) -> float:
    """The limit of *family* on one budget: in proportion to its weight and its largest cost.

    The largest cost of a group stands for its number of weights (or of products).
    """
    row = allocation.budgets[index]
    sizes: dict[str, float] = dict.fromkeys(weights, 0.0)
    for own, costs in zip(allocation.losses.families, row.table.values, strict=True):
        sizes[own] += max(costs)
    whole = math.fsum(weights[each] * sizes[each] for each in weights)
    return row.limit * weights[family] * sizes[family] / whole if whole else 0.0


def _rows(table: ScoreTable, inside: Sequence[int]) -> ScoreTable:
    return ScoreTable(metric=table.metric, unit=table.unit,
                      groups=tuple(table.groups[i] for i in inside),
                      values=tuple(table.values[i] for i in inside))
