"""Prices in the units people think in: loss a KiB, loss a GBOP."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch.allocation.prices import Prices
from mpsearch.allocation.problem import Problem
from mpsearch.report.prices import PriceRow
from mpsearch.steps.limits import Row

BITS_PER_KIB = 8192
_PER = {"size": ("KiB", float(BITS_PER_KIB)), "bops": ("GBOP", 1e9)}


def price_rows(rows: Sequence[Row], problem: Problem, prices: Prices, unit: str,
               choice: Sequence[int] | None) -> tuple[PriceRow, ...]:
    """The *prices* of *problem*, whose limits are the budgets *rows*; *unit* is the loss's.

    The slack is what *choice* leaves over.
    """
    made = []
    for metric, (row, price) in enumerate(zip(rows, prices.values, strict=True)):
        per, size = _PER.get(row.table.metric, (row.table.unit, 1.0))
        slack = None if choice is None else (row.limit - problem.cost(metric, choice)) / size
        made.append(PriceRow(budget=str(row.budget), price=price * size, loss_unit=unit, per=per,
                             slack=slack))
    return tuple(made)
