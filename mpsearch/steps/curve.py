"""The curve of best choices of one score table, and the points of a picture made from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.core.types import ScoreTable, Totals
from mpsearch.core.version import version_of
from mpsearch.report.front import Front, FrontPoint, LayerBits, MeasuredPoint
from mpsearch.spaces import load_space
from mpsearch.steps.choice import Choice, schemes_of, totals_of
from mpsearch.steps.measure import Measured
from mpsearch.steps.measurement import Measurement
from mpsearch.steps.request import Request
from mpsearch.workspace import Workspace, digest

_TIME = "time_limit_s"
"""The setting of allocators whose answer depends on how fast the machine is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """The distinct best choices within some limits."""

    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Best choices over sizes, by the losses of *estimator* and the allocator of that name.

    Or *over* latencies, of the device that was measured with.

    With a *workspace* what was solved is kept there: the same curve is behind every budget. What
    an allocator of another package answers is not, as it may change with nothing here to tell.
    """

    measured: Measured
    estimator: str
    allocator: str = "ilp"
    workspace: Workspace | None = None
    over: Literal["size", "latency"] = "size"

    @property
    def losses(self) -> ScoreTable:
        """The table whose totals are minimised."""
        return self.measured.tables[self.estimator]

    def solve(self, points: int, sizes: Sequence[float] = ()) -> list[Choice]:
        """The distinct best choices at *points* evenly spaced sizes and at *sizes* (bits)."""
        size = self.measured.costs()[self.over]
        problem = Problem.from_tables(self.losses, [size], [math.inf])
        low, high = problem.floor(0), problem.ceiling(0)
        limits = sorted({*np.linspace(low, high, points).tolist(), *sizes})
        allocator = plugins.load("allocator", self.allocator)()
        if self.workspace is None or self.allocator not in plugins.BUILTIN["allocator"]:
            return list(_solved(problem, limits, allocator)[0].choices)
        settings = {"name": self.allocator, **asdict(allocator)}
        key = digest({"version": version_of("mpsearch"), "allocator": settings,
                      "losses": self.losses.values, "sizes": size.values, "limits": limits})
        known = self.workspace.load("curves", key, Solved)
        if known is None:
            known, proven = _solved(problem, limits, allocator)
            if proven or _TIME not in settings:  # else another run may find better ones
                self.workspace.save("curves", key, known)
        return list(known.choices)

    def totals(self, choice: Choice) -> Totals:
        """Size, BOPs and predicted loss of *choice*."""
        return totals_of(self.measured, choice, self.losses)

    def label(self, choice: Choice) -> str:
        """A choice by its size, or its latency."""
        totals = self.totals(choice)
        return f"{totals.bits_per_weight:.2f} bpw" if self.over == "size" else (
            f"{totals.latency_ms or 0.0:.4g} ms")

    def measured_point(self, label: str, choice: Choice, measurement: Measurement, *,
                       kind: Literal["allocated", "uniform"]) -> MeasuredPoint:
        """A choice that was run."""
        totals = self.totals(choice)
        return MeasuredPoint(
            label=label, kind=kind, bits_per_weight=totals.bits_per_weight,
            file_bytes=totals.file_bytes, predicted_loss=totals.predicted_loss,
            evaluation=measurement.evaluation, latency_ms=totals.latency_ms)

    def front(self, request: Request, chosen: Sequence[Choice], points: Sequence[MeasuredPoint],
              *, strip: Mapping[str, Choice], chosen_label: str | None = None) -> Front:
        """Everything a picture shows; *strip* are the policies whose layers are drawn."""
        space = self.measured.record.space
        layers = LayerBits.of({label: schemes_of(space, choice)
                               for label, choice in strip.items()},
                              [layer.name for layer in space.layers])
        return Front(
            model=request.model, estimator=self.estimator, space=load_space(request.space).name,
            unit=self.losses.unit, predicted=tuple(self._point(choice) for choice in chosen),
            measured=tuple(points), layers=layers, chosen=chosen_label,
            notes=self.measured.record.notes, over=self.over, device=self.device)

    @property
    def device(self) -> str:
        """The device that latencies are of, empty where none was asked for."""
        costing = self.measured.costing
        return costing.machine.table.device if costing and costing.machine else ""

    def _point(self, choice: Choice) -> FrontPoint:
        totals = self.totals(choice)
        return FrontPoint(bits_per_weight=totals.bits_per_weight, size_bits=totals.size_bits,
                          file_bytes=totals.file_bytes, predicted_loss=totals.predicted_loss,
                          latency_ms=totals.latency_ms)


def _solved(problem: Problem, limits: Sequence[float], allocator: Any) -> tuple[Solved, bool]:
    """The best choices within the *limits*, and whether each is proven to be that."""
    from mpsearch.allocation.front import front

    found = front(problem, 0, limits, allocator)
    return (Solved(choices=tuple(each.choice for each in found)),
            all(each.status == "optimal" for each in found))
