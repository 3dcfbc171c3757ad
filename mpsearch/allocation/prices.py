"""What a budget is worth: the prices of the relaxation, and what other candidates cost at them.

With a price on every unit of every cost, a choice is charged its loss and what it spends. The
least total charge, less what the limits themselves are worth, is a lower bound on the loss of every
choice within them, and the prices that make it greatest are those at which the budgets are sold out
(Everett, "Generalized Lagrange multiplier method", Operations Research 11, 1963; Fisher, "The
Lagrangian relaxation method", Management Science 27, 1981). That bound is the linear relaxation's
optimum, and its slope in a limit is the limit's price.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mpsearch.allocation.bound import Floats, hull
from mpsearch.allocation.duals import solve_duals
from mpsearch.allocation.limits import check_floors
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.rows import Row
from mpsearch.core.errors import Unsupported

_ROUNDS = 4  # of moving one price at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A price for every budget, in loss a unit of its cost; *bound* is what they prove.

    A price of 0 says that more of that cost would save nothing.
    """

    values: tuple[float, ...]
    bound: float

    def charges(self, problem: Problem) -> tuple[Row, ...]:
        """Loss of every candidate of *problem* with what it spends at these prices."""
        spending = _spending(problem, np.array(self.values))
        return tuple(map(np.add, problem.losses, spending))


def prices(problem: Problem) -> Prices:
    """The prices of the linear relaxation of *problem*.

    With one budget they come from the hulls of the groups, in floating point of about 1e-12
    relative; with several HiGHS finds them, and each is then adjusted in turn the same way, so
    that the bound holds whatever the solver's tolerances.

    Raises:
        BelowFloor: a limit that no choice can keep to.
        Unsupported: a problem with interactions, for which this would be no bound.
    """
    if problem.pairs or problem.factor is not None:
        raise Unsupported("prices are those of losses that add up: leave out the interactions")
    check_floors(problem)
    open_metrics = [metric for metric, limit in enumerate(problem.limits)
                    if limit < problem.ceiling(metric)]
    values = np.zeros(len(problem.limits))
    if len(open_metrics) > 1:
        values = _program(problem, open_metrics)
        values = max(values, _along(problem, 0 * values, values),
                     key=lambda each: _value(problem, each))
        for _ in range(_ROUNDS):
            for metric in open_metrics:
                values = _best(problem, values, metric)
    elif open_metrics:
        values = _along(problem, values, np.eye(len(values))[open_metrics[0]])
    return Prices(values=tuple(values.tolist()), bound=_value(problem, values))


def next_best(charges: Row, chosen: int) -> int | None:
    """The candidate of least charge beside the *chosen* one, the first of equals; None without."""
    others = (k for k in range(charges.size) if k != chosen)
    return min(others, key=lambda k: (charges[k], k), default=None)


def _spending(problem: Problem, values: Floats) -> tuple[Row, ...]:
    """What every candidate spends at some prices."""
    return tuple(sum((price * rows[group] for price, rows
                      in zip(values, problem.costs, strict=True) if price), np.zeros(losses.size))
                 for group, losses in enumerate(problem.losses))


def _worth(problem: Problem, values: Floats) -> float:
    """What the limits come to at some prices."""
    return math.fsum(price * limit for price, limit
                     in zip(values, problem.limits, strict=True) if price)


def _value(problem: Problem, values: Floats) -> float:
    """The bound at some prices; any that are not negative give one."""
    charges = map(np.add, problem.losses, _spending(problem, values))
    return math.fsum([*(float(row.min()) for row in charges), -_worth(problem, values)])


def _program(problem: Problem, metrics: Sequence[int]) -> Floats:
    """The dual variables of the relaxation's limits on *metrics*, as HiGHS finds them.

    Losses and costs count from each group's least, in units of the largest of them.
    """
    losses = np.concatenate([row - row.min() for row in problem.losses])
    costs = np.stack([np.concatenate([row - row.min() for row in problem.costs[metric]])
                      for metric in metrics])
    loss_unit, units = float(losses.max()) or 1.0, costs.max(axis=1)
    room = np.array([problem.limits[metric] - problem.floor(metric) for metric in metrics])
    duals = solve_duals(losses / loss_unit, costs / units[:, None], room / units,
                        [row.size for row in problem.losses])
    values = np.zeros(len(problem.limits))
    if duals is not None:  # otherwise the limits exclude each other, and no price is enough
        values[list(metrics)] = duals * loss_unit / units
    return values


def _best(problem: Problem, values: Floats, metric: int) -> Floats:
    """*values* with the best price for one metric beside the others, if that is better."""
    axis = np.eye(len(values))[metric]
    moved = _along(problem, values * (1 - axis), axis)
    return moved if _value(problem, moved) > _value(problem, values) else values


def _along(problem: Problem, start: Floats, direction: Floats) -> Floats:
    """The prices from *start* along *direction* that give the greatest bound.

    Where all is one cost the relaxation is solved by the hulls: begin where every group is charged
    least, and buy cost back in order of loss a unit until the limit is kept.
    """
    if not direction.any():
        return start
    over, steps = -_worth(problem, direction), []
    charges = map(np.add, problem.losses, _spending(problem, start))
    for losses, costs in zip(charges, _spending(problem, direction), strict=True):
        corners = hull(costs, losses)
        over += corners[-1][0]
        steps += [((cheap[1] - dear[1]) / (dear[0] - cheap[0]), dear[0] - cheap[0])
                  for cheap, dear in pairwise(corners)]
    steps.sort()
    price = 0.0
    for ratio, saved in steps:
        if over <= 0:
            break
        price, over = ratio, over - saved
    return start + price * direction
