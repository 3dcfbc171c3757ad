"""Budgets as rows of the allocation problem, and totals back in the budget's own unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput, Infeasible, Unsupported
from mpsearch.core.types import ScoreTable
from mpsearch.cost.energy import PICOJOULES
from mpsearch.cost.latency import PICOSECONDS
from mpsearch.steps.costing import require_flow
from mpsearch.steps.measure import Measured

_EXACT = 2.0**53
"""Where floats stop telling whole numbers apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One budget as a limit on a cost table: ``total / per + offset`` is in its own unit.

    A budget on a maximum has several rows, one for each sum that the maximum is over; *place* says
    which sum this is.
    """

    budget: Budget
    table: ScoreTable
    per: float
    offset: float
    place: str = ""

    @property
    def limit(self) -> float:
        """The largest whole total that is within the budget, as `shown` says it."""
        asked = self.budget.limit
        total = float(math.floor((asked - self.offset) * self.per))
        if abs(total) >= _EXACT:
            return total
        while self.shown(total + 1) <= asked:
            total += 1
        while self.shown(total) > asked:
            total -= 1
        return total

    def shown(self, total: float) -> float:
        """A total of the table in the budget's unit."""
        return total / self.per + self.offset

    @property
    def floor(self) -> float:
        """The least total any choice has, in the budget's unit."""
        return self.shown(math.fsum(min(row) for row in self.table.values))

    @property
    def ceiling(self) -> float:
        """The greatest total any choice has, in the budget's unit."""
        return self.shown(math.fsum(max(row) for row in self.table.values))


def require_budgets(budgets: Sequence[Budget], *, needed: bool = True) -> None:
    """Check what can be checked of *budgets* before anything is measured.

    Raises:
        BadInput: there is none, and one is *needed*.
    """
    if needed and not budgets:
        raise BadInput("give at least one budget, such as --budget 4.5bpw, 12MiB or 5GBOPs")


def rows(budgets: Sequence[Budget], measured: Measured) -> list[Row]:
    """The budgets as rows, each checked to be within reach.

    Raises:
        BadInput: bits per weight of a model without weights.
        Infeasible: a budget below what the cheapest schemes need; the message names the floor.
        Unsupported: a budget on what is not known: times of no device, activations that are no sum.
    """
    made = [rows_of(budget, measured) for budget in budgets]
    for each in made:
        row = max(each, key=lambda row: row.floor)
        if row.budget.limit < row.floor:
            raise Infeasible(f"the budget {row.budget} cannot be met: the floor of this space is "
                             f"{floor_text(row)}; ask for at least that, or offer cheaper schemes")
    return [row for each in made for row in each]


def floor_text(row: Row) -> str:
    """The floor as a budget that can be typed and met."""
    return limit_text(row, row.floor)


def limit_text(row: Row, least: float) -> str:
    """A budget that can be typed and is at least so much: rounded up, with the unit asked in."""
    unit = row.budget.text.lstrip("0123456789.eE+- ")
    per_unit = row.budget.limit / Budget.parse(f"1{unit}").limit
    value = least / (row.budget.limit / per_unit)
    digits = max(0, 3 - math.floor(math.log10(value))) if value > 0 else 3
    steps = max(1, math.ceil(value * 10**digits))
    # Reading the text multiplies floats anew, which may round below what is needed.
    while Budget.parse(text := f"{Decimal(steps).scaleb(-digits):f}{unit}").limit < least:
        steps += 1
    return text


def rows_of(budget: Budget, measured: Measured) -> list[Row]:
    """The budget as rows, wherever its floor is: several only for a maximum.

    Raises:
        BadInput: bits per weight of a model without weights.
        Unsupported: a budget on what is not known.
    """
    if budget.metric != "activation_bytes":
        return [row_of(budget, measured)]
    sets = require_flow(measured.costing, budget).live
    made = [Row(budget=budget, table=each.table, per=8, offset=each.fixed / 8, place=each.place)
            for each in sets]
    greatest = max(made, key=lambda row: row.ceiling)
    # What can never pass the limit is no limit; the fullest one says how much there is.
    return [row for row in made if row is greatest or row.ceiling > budget.limit]


def row_of(budget: Budget, measured: Measured) -> Row:
    """A budget on a sum as a limit on one of the costs, wherever its floor is.

    Raises:
        BadInput: bits per weight of a model without weights.
        Unsupported: a budget on what is not known.
    """
    costs, record = measured.costs(), measured.record
    if budget.metric == "bits_per_weight":
        if not record.space.weights:
            raise BadInput(f"the budget {budget} counts bits per weight and the space has none")
        return Row(budget=budget, table=costs["size"], per=record.space.weights, offset=0)
    if budget.metric == "file_bytes":
        return Row(budget=budget, table=costs["size"], per=8, offset=record.other_bytes)
    if budget.metric == "bops":
        return Row(budget=budget, table=costs["bops"], per=1, offset=0)
    return _row_of_a_run(budget, measured, costs)


def _row_of_a_run(budget: Budget, measured: Measured, costs: Mapping[str, ScoreTable]) -> Row:
    known = require_flow(measured.costing, budget)
    if budget.metric == "energy_mj":
        return Row(budget=budget, table=costs["energy"], per=PICOJOULES,
                   offset=known.energy.fixed / PICOJOULES)
    if known.latency is None:
        raise Unsupported(f"the budget {budget} is a latency: name a --device, or run mpsearch "
                          "profile")
    return Row(budget=budget, table=costs["latency"], per=PICOSECONDS,
               offset=known.latency.fixed / PICOSECONDS)
