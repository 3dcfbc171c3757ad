"""Draws the front of two costs: the least loss within both, and where the chosen policy stands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpsearch.core import io
from mpsearch.report.style import GREY, INK, ORANGE, decimal, draw_figure, short
from mpsearch.report.units import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELLS = 160  # along each axis of the picture
_ROOM = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfacePoint:
    """One policy: what it costs on both axes, and its predicted loss."""

    x: float
    y: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Policies that nothing beats on both costs and the loss together.

    *labels* name the axes with their units, *limits* are the budgets on them, *unit* is that of
    the loss that *estimator* predicts, and *chosen* the policy that was allocated.
    """

    model: str
    estimator: str
    unit: str
    labels: tuple[str, str]
    limits: tuple[float, float]
    points: tuple[SurfacePoint, ...]
    chosen: SurfacePoint


def save_surface(surface: Surface, path: str | os.PathLike[str]) -> None:
    """Write the numbers behind a picture as JSON, atomically.

    Raises:
        BadInput: the place cannot be written.
    """
    io.save(path, surface)


def draw_surface(surface: Surface, stem: str | os.PathLike[str]) -> list[Path]:
    """Write the picture of *surface* as ``stem.png`` and ``stem.svg`` and return both paths.

    The same surface gives the same bytes, and no global state of matplotlib changes.

    Raises:
        BadInput: the place cannot be written.
    """
    return draw_figure(_compose, surface, stem)


def least_losses(points: Sequence[SurfacePoint], xs: NDArray[np.float64],
                 ys: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least loss of the *points* within each pair of limits, rows by *ys*, columns by *xs*.

    NaN where no point is within both.
    """
    losses = np.full((ys.size, xs.size), np.inf)
    for point in points:
        inside = (ys[:, None] >= point.y) & (xs[None] >= point.x)
        losses[inside] = np.minimum(losses[inside], point.loss)
    return np.where(np.isfinite(losses), losses, np.nan)


def _compose(surface: Surface) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    chosen = surface.chosen
    figure.suptitle(
        f"{short(surface.model, 60)}: the front of two costs\n"
        f"Colour: least loss predicted by {surface.estimator} within both limits "
        f"({len(surface.points)} policies)\n"
        f"Chosen: {number(chosen.x)} {surface.labels[0]}, {number(chosen.y)} {surface.labels[1]}, "
        f"loss {number(chosen.loss)} {surface.unit}", x=0.01, ha="left", fontsize=10)
    axes = figure.subplots()
    _draw_losses(figure, axes, surface)
    _draw_limits(axes, surface)
    axes.plot([chosen.x], [chosen.y], "*", color=ORANGE, markersize=15, markeredgecolor="white",
              zorder=5, label="chosen policy")
    axes.set_xlabel(surface.labels[0])
    axes.set_ylabel(surface.labels[1])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2, fontsize=8.5)
    return figure


def _draw_losses(figure: Figure, axes: Axes, surface: Surface) -> None:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import FuncFormatter

    xs = _places([p.x for p in surface.points], surface.limits[0])
    ys = _places([p.y for p in surface.points], surface.limits[1])
    losses = least_losses([*surface.points, surface.chosen], xs, ys)
    known = losses[np.isfinite(losses)]
    several = known.min() > 0 and known.max() > known.min()
    norm: Any = LogNorm(known.min(), known.max()) if several else Normalize()
    mesh = axes.pcolormesh(xs, ys, losses, norm=norm, cmap="viridis", shading="nearest",
                           rasterized=True)
    bar = figure.colorbar(mesh, ax=axes, label=f"least loss within both, {surface.unit}")
    if several:
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value)))
    axes.scatter([p.x for p in surface.points], [p.y for p in surface.points], s=7, color="white",
                 edgecolors=INK, linewidths=0.4, zorder=3, label="policies of the front")
    axes.grid(visible=False)


def _places(costs: Sequence[float], limit: float) -> NDArray[np.float64]:
    """Limits from the least to the greatest cost, with some room, and as far as the budget."""
    low, high = min([*costs, limit]), max([*costs, limit])
    room = _ROOM * (high - low) or 0.5
    return np.linspace(low - room, high + room, _CELLS)


def _draw_limits(axes: Axes, surface: Surface) -> None:
    look: dict[str, Any] = {"color": GREY, "linestyle": "--", "linewidth": 1.2, "zorder": 4}
    axes.axvline(surface.limits[0], label="budgets", **look)
    axes.axhline(surface.limits[1], **look)
