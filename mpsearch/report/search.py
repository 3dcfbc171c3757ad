"""What a search found, as plain data, tables and a picture."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mpsearch.report.curves import label_losses
from mpsearch.report.grid import Grid, numbers, words
from mpsearch.report.left_out import in_short
from mpsearch.report.style import BLUE, GREY, ORANGE, draw_figure
from mpsearch.report.units import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 12
_INCHES = (8.0, 6.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPoint:
    """One trial: its place, what proposed it, its loss on *samples*, and how it ended."""

    ticket: int
    origin: str
    loss: float
    samples: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchReport:
    """A search that is over, or was interrupted.

    *low* and *high* are the 95 % interval of the best loss less the start's, on the samples that
    decided, allowing for the best being one of so many *candidates*; *verdict* says it in words.
    *importance* says which groups decide, *left_out* what stays of branches that the best choice
    does not keep whole.
    """

    model: str
    budgets: tuple[str, ...]
    sampler: str
    seed: int
    samples: int
    shared: bool
    trials: tuple[TrialPoint, ...]
    start: TrialPoint
    best: TrialPoint
    difference: float
    low: float
    high: float
    verdict: str
    candidates: int = 0
    importance: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    interrupted: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)


def search_tables(report: SearchReport) -> list[Grid | str]:
    """How the search went, and which groups decide."""
    states = Counter(trial.state for trial in report.trials)
    apart = (f"{number(report.difference)} ({number(report.low)} to {number(report.high)}), "
             f"{report.verdict}")
    facts = [
        ("trials measured to the end", str(states["COMPLETE"])),
        ("trials ended early", str(states["PRUNED"])),
        ("samples that decide", str(report.samples)),
        ("start", f"{number(report.start.loss)} nats ({report.start.origin})"),
        (f"best: trial {report.best.ticket}",
         f"{number(report.best.loss)} nats ({report.best.origin})"),
        ("best less start (95 %)", apart),
    ]
    if report.left_out:
        facts.append(("the best leaves out", in_short(report.left_out)))
    parts: list[Grid | str] = [Grid(title="Search", columns=words("") + numbers("value"),
                                    rows=tuple(facts))]
    if report.candidates > 1:
        parts.append(f"The interval allows for the best being one of {report.candidates} trials.")
    if report.shared:
        parts.append("The samples that decided are among those that scores were made of: give more "
                     "data, or fewer --calibration-samples.")
    if report.failures:
        parts.append(f"{len(report.failures)} trials failed, the last one: {report.failures[-1]}")
    if report.importance:
        rows = tuple((name, f"{100 * share:.1f}") for name, share in
                     list(report.importance.items())[:_SHOWN])
        parts.append(Grid(title="Which layers decide, near the best choice",
                          columns=words("group") + numbers("share %"), rows=rows))
    return parts


def draw_search(report: SearchReport, stem: str | os.PathLike[str]) -> list[Path]:
    """Write the picture of *report* as ``stem.png`` and ``stem.svg`` and return both paths.

    Raises:
        BadInput: the place cannot be written.
    """
    return draw_figure(_compose, report, stem)


def _compose(report: SearchReport) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    figure.suptitle(
        f"{report.model}: search within {', '.join(report.budgets)}, judged on {report.samples} "
        f"samples\nbest {number(report.best.loss)} nats, start {number(report.start.loss)}: "
        f"{report.verdict} there", x=0.01, ha="left", fontsize=10)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 2])
    _losses(upper, report)
    names = list(report.importance)[:_SHOWN][::-1]
    lower.barh(names, [100 * report.importance[name] for name in names], color=BLUE)
    lower.set_xlabel("share of the loss's spread near the best choice, %")
    return figure


def _losses(axes: Axes, report: SearchReport) -> None:
    plot = axes.plot
    complete = [t for t in report.trials if t.state == "COMPLETE"]
    early = [t for t in report.trials if t.state == "PRUNED"]
    plot([t.ticket for t in early], [t.loss for t in early], "x", color=GREY, markersize=4,
         label="ended early")
    plot([t.ticket for t in complete], [t.loss for t in complete], "o", color=BLUE, markersize=3,
         label="measured to the end")
    best, places, values = float("inf"), [], []
    for trial in complete:
        best = min(best, trial.loss)
        places.append(trial.ticket)
        values.append(best)
    plot(places, values, color=ORANGE, drawstyle="steps-post", label="best so far")
    axes.axhline(report.start.loss, color=GREY, linestyle=":",
                 label=f"start: {report.start.origin}")
    axes.set_yscale("log")
    label_losses(axes, axes.get_ylim())
    axes.set_xlabel("trial")
    axes.set_ylabel("KL to the float model, nats")
    axes.legend(frameon=False)
