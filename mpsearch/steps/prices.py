"""Prices in the units people think in: loss a KiB, loss a GBOP."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch.allocation.prices import Prices
from mpsearch.allocation.problem import Problem
from mpsearch.report.prices import PriceRow
from mpsearch.steps.limits import Row

BITS_PER_KIB = 8192
_PER = {"size": ("KiB", float(BITS_PER_KIB)), "bops": ("GBOP", 1e9), "latency": ("ms", 1e9),
        "energy": ("mJ", 1e9)}
_ACTIVATIONS = ("KiB", float(BITS_PER_KIB))


def price_rows(rows: Sequence[Row], problem: Problem, prices: Prices, unit: str,
               choice: Sequence[int] | None) -> tuple[PriceRow, ...]:
    """The *prices* of *problem*, whose limits are the budgets *rows*; *unit* is the loss's.

    The slack is what *choice* leaves over. Of a budget with several rows (a maximum), those with a
    price are told, or the fullest one where none has any.
    """
    made = []
    for metric, (row, price) in enumerate(zip(rows, prices.values, strict=True)):
        per, size = _ACTIVATIONS if row.place else _PER.get(row.table.metric,
                                                            (row.table.unit, 1.0))
        slack = None if choice is None else (row.limit - problem.cost(metric, choice)) / size
        name = f"{row.budget} at {row.place}" if row.place else str(row.budget)
        made.append((row, PriceRow(budget=name, price=price * size, loss_unit=unit, per=per,
                                   slack=slack)))
    return tuple(found for row, found in made if not row.place or found in _telling(
        [other for each, other in made if each.place and each.budget == row.budget]))


def _telling(rows: Sequence[PriceRow]) -> list[PriceRow]:
    return [row for row in rows if row.binds] or [
        min(rows, key=lambda row: row.slack if row.slack is not None else 0.0)]
