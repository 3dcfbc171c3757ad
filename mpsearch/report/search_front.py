"""A searched front, as plain data, a table and a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mpsearch.core.types import Totals
from mpsearch.report.curves import label_losses
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.left_out import in_short
from mpsearch.report.style import BLUE, GREY, ORANGE, draw_figure
from mpsearch.report.units import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNITS = {"size": "bits per weight", "bops": "bit operations per sample", "latency": "ms",
          "loss": "KL to the float model, nats", "accuracy": "top-1, share"}
_INCHES = (8.0, 4.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFrontPoint:
    """A trial that no other one beats: its objectives' *values*.

    *held_out* is its loss there, where it was measured; *left_out* says what stays of branches
    that are not whole.
    """

    ticket: int
    origin: str
    choice: tuple[int, ...]
    values: tuple[float, ...]
    loss: float
    held_out: float | None
    totals: Totals
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFront:
    """A front of *objectives* in *points*; *others* are the values of all trials.

    *hypervolume* is what all trials dominate below *reference*, *started* what those did that the
    search began with; a loss counts there by its logarithm to base 10.
    """

    model: str
    objectives: tuple[str, ...]
    trials: int
    hypervolume: float
    started: float
    reference: tuple[float, ...]
    points: tuple[SearchFrontPoint, ...]
    others: tuple[tuple[float, ...], ...]
    samples: int = 0
    shared: bool = False
    study: str = ""
    storage: str = ""
    interrupted: bool = False


def front_parts(found: SearchFront) -> list[Grid | str]:
    """The front, and how much it dominates."""
    partial = any(p.left_out for p in found.points)
    judged = all(p.held_out is not None for p in found.points)
    rows = tuple((str(p.ticket), p.origin, *map(number, p.values),
                  *([number(p.held_out or 0.0)] if judged else []),
                  *([in_short(p.left_out)] if partial else [])) for p in found.points)
    columns = (words("trial", "proposed by") + numbers(*found.objectives)
               + (numbers("KL held out") if judged else ())
               + (words("left out") if partial else ()))
    more = "" if not found.started else (
        f", {100 * (found.hypervolume / found.started - 1):.2f} % above that of its starts")
    volume = f"Hypervolume, with log10 of losses: {number(found.hypervolume)}{more}"
    return [Grid(title=f"Front of {found.trials} trials on {found.samples} samples",
                 columns=columns, rows=rows), volume]


def draw_front(found: SearchFront, stem: str | os.PathLike[str]) -> list[Path]:
    """Write the picture of the first two objectives as ``stem.png`` and ``stem.svg``.

    Raises:
        BadInput: the place cannot be written.
    """
    return draw_figure(_compose, found, stem)


def _compose(found: SearchFront) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    figure.suptitle(f"{found.model}: searched front, {found.trials} trials on {found.samples} "
                    "samples", x=0.01, ha="left", fontsize=10)
    axes = figure.subplots()
    up, across = (next(i for i, name in enumerate(found.objectives)
                       if (name in {"loss", "accuracy"}) is measured) for measured in (True, False))
    axes.plot([v[across] for v in found.others], [v[up] for v in found.others], ".", color=GREY,
              markersize=3, label="trials")
    line = sorted(found.points, key=lambda point: point.values[across])
    axes.plot([p.values[across] for p in line], [p.values[up] for p in line], "-o", color=BLUE,
              markersize=3, label="front")
    if found.objectives[up] == "loss":
        judged = [(p.values[across], p.held_out) for p in line if p.held_out is not None]
        if judged:
            axes.plot(*zip(*judged, strict=True), "x", color=ORANGE, markersize=4,
                      label="the same, held out")
        axes.set_yscale("log")
        label_losses(axes, axes.get_ylim())
    axes.set_xlabel(_UNITS[found.objectives[across]])
    axes.set_ylabel(_UNITS[found.objectives[up]])
    axes.legend(frameon=False)
    return figure
