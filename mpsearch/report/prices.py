"""What a decision costs: prices of budgets and of one pin, and what a tolerance came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpsearch.core.types import Evaluation, Scheme
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.units import NOTHING, number

if TYPE_CHECKING:
    from mpsearch.core.tolerance import Tolerated

ADDITIVE = "additive"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """What one budget is worth: *price* is the loss that one more *per* (a KiB, a GBOP) saves.

    *loss_unit* is that of the loss, *slack* how much of the budget is left over, counted in *per*
    too; None where the policy is not one of the space.
    """

    budget: str
    price: float
    loss_unit: str
    per: str
    slack: float | None

    @property
    def binds(self) -> bool:
        """Whether the budget keeps the loss from being smaller."""
        return self.price > 0

    @property
    def unit(self) -> str:
        """The unit of the price: ``nats/KiB``."""
        return f"{self.loss_unit}/{self.per}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What it costs to bind one layer (and those tied to it) to a scheme it did not get.

    *best* and *pinned* are the least losses within the budgets without and with the pin, *here*
    how much of the difference arises in the layer itself. *changes* are the other layers that get
    another scheme for it. *proven* says that both losses are proven to be the least.
    """

    layer: str
    scheme: Scheme
    unit: str
    best: float
    pinned: float
    here: float
    proven: bool
    changes: dict[str, tuple[Scheme, Scheme]]

    @property
    def cost(self) -> float:
        """The loss that the pin adds."""
        return self.pinned - self.best


def prices(rows: tuple[PriceRow, ...]) -> Grid:
    """One row a budget: what one more unit of it saves, and what is left over."""
    return Grid(title="Prices", columns=words("budget") + numbers("one more saves", "left over")
                + words("binds"), rows=tuple((
                    row.budget, f"{number(row.price)} {row.unit}",
                    NOTHING if row.slack is None else f"{number(row.slack)} {row.per}",
                    "yes" if row.binds else "no") for row in rows))


def pin(found: Pin) -> Grid:
    """What the pin costs, where, and what else it changes."""
    facts = [("least loss as it is", f"{number(found.best)} {found.unit}"),
             ("least loss with the pin", f"{number(found.pinned)} {found.unit}"),
             ("the pin costs", f"{number(found.cost)} {found.unit}"),
             ("of that in this layer", f"{number(found.here)} {found.unit}"),
             ("proven", "yes" if found.proven else "no")]
    changed = [(name, f"{before} to {after}") for name, (before, after) in found.changes.items()]
    return Grid(title=f"{found.layer} at {found.scheme}", columns=words("") + numbers("value"),
                rows=(*facts, *changed), strong=frozenset({2}))


def tolerated(found: Tolerated, held_out: Evaluation | None) -> str:
    """One line: what was tolerated, what the policy loses, and whether that holds elsewhere."""
    unit = " nats" if found.metric == "kl" else " of top-1"
    line = (f"smallest {found.minimised} within the tolerance {found.tolerance}: it loses "
            f"{number(found.reached)}{unit} on {found.samples} {found.split} samples, found with "
            f"{found.policies} policies measured")
    if held_out is None or found.split == "evaluation":
        return line
    from mpsearch.core.tolerance import Tolerance

    loss = Tolerance.parse(found.tolerance).loss(held_out)
    verdict = "within it there too" if loss <= found.limit else "beyond it there"
    return f"{line}; {number(loss)}{unit} on {held_out.samples} held-out samples, {verdict}"


def caveats(allocator: Mapping[str, Any]) -> list[str]:
    """Lines that a reader must know: of the *allocator* that a policy's provenance names."""
    lines = [f"{allocator.get('name')}: {allocator['note']}"] if allocator.get("note") else []
    kind = allocator.get("objective_kind", ADDITIVE)
    if kind != ADDITIVE:
        lines.append(f"prices, and what other schemes would cost, are those of the {ADDITIVE} "
                     f"objective; the policy was chosen by the {kind} one")
    return lines
