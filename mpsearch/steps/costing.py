"""What is known of a study beyond its layers: the flow of the model, and the times of a device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow
from mpsearch.core.machine import NOISE, MachineTable
from mpsearch.core.types import Scheme, ScoreTable, SearchSpace
from mpsearch.cost.activations import LiveSet, largest_sets, live_sets, peak_bytes
from mpsearch.cost.energy import HOROWITZ_45NM, Energy, EnergyTable, energy
from mpsearch.cost.latency import Latency, latency, undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A device's *table* and for how much of it a latency counts; *key* finds it again."""

    table: MachineTable
    batch: int
    threads: int
    key: str
    energy: EnergyTable | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What a policy's provenance says of it."""
        return {"name": self.table.device, "provider": self.table.provider,
                "origin": self.table.origin, "cpu": self.table.cpu, "batch": self.batch,
                "threads": self.threads, "versions": dict(self.table.versions), "table": self.key,
                "energy": self.energy and asdict(self.energy)}


@dataclass(frozen=True, kw_only=True)  # no slots: what is summed is kept
class Costing:
    """Costs that are summed over all that runs, for one *space*."""

    space: SearchSpace
    flow: Flow
    machine: Machine | None = None

    @cached_property
    def latency(self) -> Latency | None:
        """Times of a batch, None without a device."""
        if self.machine is None:
            return None
        return latency(self.space, self.flow, self.machine.table, batch=self.machine.batch,
                       threads=self.machine.threads)

    @property
    def rates(self) -> EnergyTable:
        """Picojoules: those of the device, if it has any, else of the 45 nm process."""
        own = self.machine.energy if self.machine else None
        return own or HOROWITZ_45NM

    @cached_property
    def energy(self) -> Energy:
        """Energy of one sample."""
        return energy(self.space, self.flow, self.rates)

    @cached_property
    def live(self) -> tuple[LiveSet, ...]:
        """What must be within a budget on activation memory."""
        return live_sets(self.space, self.flow)

    @cached_property
    def _sets(self) -> list[list[int]]:
        return largest_sets(self.flow)

    def tables(self) -> dict[str, ScoreTable]:
        """The tables of additive costs, by metric."""
        known = {"energy": self.energy.table}
        return known if self.latency is None else {"latency": self.latency.table, **known}

    def totals(self, choice: tuple[int, ...], schemes: dict[str, Scheme]) -> dict[str, Any]:
        """What these costs come to, as fields of `Totals`."""
        timed, spent = self.latency, self.energy
        return {
            "latency_ms": timed and timed.total(choice),
            "peak_activation_bytes": peak_bytes(self.flow, schemes, self._sets),
            "energy_mj": spent.total(choice)}

    def undecided(self) -> tuple[int, int]:
        """In how many groups no scheme is faster than another beyond noise, and of how many."""
        timed = self.latency
        several = [group for group in self.space.groups if len(group.schemes) > 1]
        if timed is None:
            return 0, len(several)
        return len(undecided(self.space, timed.table, NOISE)), len(several)


def require_flow(costing: Costing | None, budget: object) -> Costing:
    """The costing that a *budget* needs.

    Raises:
        Unsupported: the graph was never walked.
    """
    if costing is None:
        raise Unsupported(f"the budget {budget} needs what the model runs, which this workspace "
                          "does not hold: measure again")
    return costing
