"""Tables and budgets in, one scheme a group out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mpsearch.allocation.prices import prices
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.budget import Budget
from mpsearch.core.errors import Infeasible
from mpsearch.core.types import ScoreTable, Totals
from mpsearch.report.prices import PriceRow
from mpsearch.steps.choice import Choice, totals_of
from mpsearch.steps.limits import Row, require_budgets, rows
from mpsearch.steps.measure import Measured
from mpsearch.steps.objective import DEFAULT_OBJECTIVE, minimise
from mpsearch.steps.prices import price_rows

if TYPE_CHECKING:
    from mpsearch.core.tolerance import Tolerated

# The policy and what is printed both ask, about the same problem.
_prices = lru_cache(maxsize=1)(prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """A solved problem: what was asked, what was chosen, and what is proven about it.

    *tolerated* says how a tolerance was answered; the first budget is then what the answer costs.
    """

    measured: Measured
    estimator: str
    allocator: dict[str, Any]
    budgets: tuple[Row, ...]
    problem: Problem
    selection: Selection
    totals: Totals
    tolerated: Tolerated | None = None

    @property
    def losses(self) -> ScoreTable:
        """The table whose total was minimised."""
        return self.measured.tables[self.estimator]

    def meets(self, choice: Choice) -> bool:
        """Whether another choice keeps to every budget too."""
        return self.problem.meets(choice)

    def prices(self) -> tuple[PriceRow, ...]:
        """What more of every budget would save, and what the choice leaves over of it."""
        return price_rows(self.budgets, self.problem, _prices(self.problem), self.losses.unit,
                          self.selection.choice)


def allocate(measured: Measured, estimator: str, budgets: Sequence[Budget],
             allocator: str = "ilp", objective: str = DEFAULT_OBJECTIVE) -> Allocation:
    """Choose the schemes of least total *estimator* loss within all *budgets*.

    *objective* may add interactions to the total, or its standard error. Prices, and what another
    choice would cost, are about the plain total.

    Raises:
        Infeasible: a budget, or all of them together, cannot be met.
        BadInput: no budget, or scores that the objective cannot be made from.
    """
    require_budgets(budgets)
    limited = rows(budgets, measured)
    losses = measured.tables[estimator]
    problem = Problem.from_tables(losses, [row.table for row in limited],
                                  [row.limit for row in limited])
    try:
        selection, settings = minimise(problem, losses, objective=objective, allocator=allocator)
    except Infeasible as error:
        from mpsearch.steps.relaxed import conflict

        raise conflict(problem, limited) from error
    return Allocation(
        measured=measured, estimator=estimator, budgets=tuple(limited), problem=problem,
        allocator=settings, selection=selection,
        totals=totals_of(measured, selection.choice, losses))

