"""Draws a front: loss against bits per weight, and below it the bits of every layer."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mpsearch.report.curves import chosen_in_words, draw_curves
from mpsearch.report.front import Front
from mpsearch.report.strip import draw_strip
from mpsearch.report.style import draw_figure, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTHS = ((30, 8.0), (64, 10.0), (math.inf, 12.0))
"""Inches of a picture with up to so many layers."""
_CURVES_INCHES = 4.6
_ROW_INCHES = 0.24
_NAMES_INCHES = 1.5


def draw(front: Front, stem: str | os.PathLike[str]) -> list[Path]:
    """Write the picture of *front* as ``stem.png`` and ``stem.svg`` and return both paths.

    The same front gives the same bytes. Nothing is shown on a screen and no global state of
    matplotlib changes.

    Raises:
        BadInput: the place cannot be written.
    """
    return draw_figure(_compose, front, stem)


def _compose(front: Front) -> Figure:
    from matplotlib.figure import Figure

    front = front.placed
    rows, columns = len(front.layers.rows), len(front.layers.names)
    strip_inches = _ROW_INCHES * rows
    width = next(inches for most, inches in _WIDTHS if columns <= most)
    height = _CURVES_INCHES + (strip_inches + _NAMES_INCHES if rows else 0)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(_title(front), x=0.01, ha="left", fontsize=10)
    if not rows:
        draw_curves(figure.subplots(), front)
        return figure
    upper, lower = figure.subplots(2, 1, height_ratios=[_CURVES_INCHES - 1.2, strip_inches])
    draw_curves(upper, front)
    draw_strip(lower, front.layers)
    return figure


def _title(front: Front) -> str:
    compared = "mixed against uniform precision" if any(
        point.kind == "uniform" for point in front.measured) else "mixed precision"
    samples = max((point.evaluation.samples for point in front.measured), default=0)
    measured = f"measured on {samples} samples, bars show one standard error" if samples else (
        "predicted only, nothing measured")
    lines = [f"{short(front.model, 60)}: {compared}",
             f"Search space {short(front.space, 30)}; {measured}", chosen_in_words(front)]
    return "\n".join(line for line in lines if line)
