"""What `show` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mpsearch.core import io
from mpsearch.core.types import Policy
from mpsearch.report import prices, table
from mpsearch.report.grid import Grid
from mpsearch.shell.terminal import Tables

if TYPE_CHECKING:
    from mpsearch.workspace import Workspace


def explained(policy: Policy, workspace: Workspace) -> tuple[dict[str, Any], Tables]:
    """What `show` prints: a row a layer, and what the budgets are worth."""
    from mpsearch.steps.explain import explain

    found = explain(policy, workspace)
    caveats = prices.caveats(_allocator(policy))
    data = {"model": io.to_data(policy.model), "totals": io.to_data(policy.totals),
            "caveats": caveats,
            "unit": found.unit, "prices": [_price(row) for row in found.prices],
            "layers": [io.to_data(row) for row in found.layers]}
    parts: list[Grid | str] = [table.layers(found.layers, unit=found.unit or "loss")]
    if found.prices:
        parts.append(prices.prices(found.prices))
    parts += caveats
    if not found.unit:
        parts.append(f"{workspace.root} does not hold the scores this policy was made from: give "
                     "--workspace to see shares and gains")
    return data, parts


def _price(row: prices.PriceRow) -> dict[str, Any]:
    return {"budget": row.budget, "price": row.price, "unit": row.unit, "slack": row.slack,
            "binds": row.binds}


def pinned(policy: Policy, workspace: Workspace, text: str) -> tuple[dict[str, Any], Tables]:
    """What `show --why` prints: the price of one pin."""
    from mpsearch.steps.why import why_not

    found = why_not(policy, workspace, text)
    data = {"layer": found.layer, "scheme": str(found.scheme), "unit": found.unit,
            "best": found.best, "pinned": found.pinned, "cost": found.cost, "here": found.here,
            "proven": found.proven, "changes": {
                name: [str(side) for side in pair] for name, pair in found.changes.items()}}
    return {**data, "caveats": prices.caveats(_allocator(policy))}, [
        prices.pin(found), *prices.caveats(_allocator(policy))]


def _allocator(policy: Policy) -> Mapping[str, Any]:
    """What made the policy; nothing where its provenance was changed."""
    found = policy.provenance.get("allocator")
    return found if isinstance(found, Mapping) else {}


def diff_data(here: Policy, there: Policy) -> dict[str, Any]:
    """What `show --against` prints with ``--json``."""
    return {"differences": {name: [str(side) if side else None for side in pair]
                            for name, pair in here.diff(there).items()},
            "totals": [io.to_data(here.totals), io.to_data(there.totals)]}


def diff_tables(here: Policy, there: Policy, here_label: str, there_label: str) -> Tables:
    """The layers on which two policies differ."""
    return [table.difference(here, there, labels=(here_label, there_label))]
