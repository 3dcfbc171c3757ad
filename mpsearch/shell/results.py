"""What `allocate` and `pareto` print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpsearch.core import io
from mpsearch.report import prices, table
from mpsearch.report.grid import Grid
from mpsearch.shell.terminal import Tables

if TYPE_CHECKING:
    from mpsearch.api import Result
    from mpsearch.report.front import Front


def result_data(result: Result, files: Sequence[Path]) -> dict[str, Any]:
    """What `allocate` prints with ``--json``."""
    from mpsearch.steps.timeline import truths

    policy, selection = result.policy, result.allocation.selection
    budgets = [{"budget": str(row.budget), "metric": row.budget.metric,
                "requested": row.budget.limit, "achieved": row.achieved,
                "floor": row.floor, "ceiling": row.ceiling} for row in _achieved(result)]
    measured = result.allocation.measured
    return {"totals": io.to_data(policy.totals), "budgets": budgets, "status": selection.status,
            "bound": selection.bound, "objective": selection.objective, "note": selection.note,
            "prices": policy.provenance["allocator"]["prices"],
            "tolerance": policy.provenance["tolerance"],
            "evaluation": io.to_data(policy.evaluation) if policy.evaluation else None,
            "prediction": io.to_data(policy.prediction) if policy.prediction else None,
            "verification": policy.provenance["verification"],
            "layers": {name: str(scheme) for name, scheme in policy.layers.items()},
            "device": policy.provenance["device"], "truths": truths(result.allocation),
            "measured_units": measured.new_units, "files": [str(path) for path in files],
            "notes": list(measured.record.notes)}


def result_tables(result: Result, files: Sequence[Path]) -> Tables:
    """Budgets, outcome, comparison with uniform, and the files that were written."""
    from mpsearch.steps.timeline import truths

    allocation = result.allocation
    outcome = table.Outcome(totals=result.policy.totals, bound=allocation.selection.bound,
                            status=allocation.selection.status, unit=allocation.losses.unit,
                            prediction=result.policy.prediction)
    parts: list[Grid | str] = [table.budgets(_achieved(result)), prices.prices(allocation.prices()),
                               table.outcome(outcome),
                               *prices.caveats(result.policy.provenance["allocator"]),
                               *truths(result.allocation)]
    if result.verification is not None and result.front is not None:
        verdicts = {c.label: f"{c.against.verdict}" for c in result.verification.uniform
                    if c.against}
        parts += [table.comparison(table.Comparison(
            points=result.front.measured, chosen=result.verification.winner.label,
            verdicts=verdicts)), _verdict(result)]
    if allocation.tolerated is not None:
        parts.append(prices.tolerated(allocation.tolerated, result.policy.evaluation))
    return [*parts, f"wrote {', '.join(map(str, files))}"]


def _achieved(result: Result) -> list[table.BudgetRow]:
    """Each budget with what the returned policy came to: the greatest of its rows for a maximum."""
    allocation, winner = result.allocation, result.verification and result.verification.winner
    choice = winner.choice if winner else allocation.selection.choice
    found: dict[str, list[Any]] = {}
    for place, row in enumerate(allocation.budgets):  # a budget given twice stays two
        found.setdefault(str(row.budget) if row.place else str(place), []).append(row)
    return [table.BudgetRow(
        budget=rows[0].budget, achieved=max(row.shown(row.table.total(choice)) for row in rows),
        floor=max(row.floor for row in rows), ceiling=max(row.ceiling for row in rows))
        for rows in found.values()]


def _verdict(result: Result) -> str:
    verification = result.verification
    assert verification is not None  # noqa: S101 - the caller checked
    better = [candidate.label for candidate in verification.better]
    if not verification.uniform:
        return "no uniform policy of this space meets the budget"
    if not better:
        return "no uniform policy of the same budget is better beyond noise"
    if verification.winner is verification.allocated:
        return f"{', '.join(better)} measured better; the allocated policy is kept as asked"
    return (f"{verification.winner.label} measured better than the allocated policy beyond noise "
            "and is returned instead (--keep returns the allocated one)")


def front_data(front: Front, files: Sequence[Path]) -> dict[str, Any]:
    """What `pareto` prints with ``--json``."""
    return {**io.to_data(front), "files": [str(path) for path in files]}


def front_tables(front: Front, files: Sequence[Path]) -> Tables:
    """The measured points, and the files that were written."""
    parts: list[Grid | str] = []
    if front.measured:
        parts.append(table.comparison(table.Comparison(points=front.measured)))
    found = f"{len(front.predicted)} policies on the predicted front of {front.estimator}"
    return [*parts, found, f"wrote {', '.join(map(str, files))}"]
