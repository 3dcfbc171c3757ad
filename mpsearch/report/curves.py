"""The upper panel: loss against bits per weight, predicted and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpsearch.report.front import Front, FrontPoint, MeasuredPoint
from mpsearch.report.scale import LossAxes, all_bits, all_one_size, by_rank, separate
from mpsearch.report.style import BLUE, GREEN, GREY, INK, ORANGE, decimal, short
from mpsearch.report.units import human_bytes, number, with_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {"allocated": (BLUE, "o", "mixed precision, measured"),
          "uniform": (ORANGE, "s", "uniform precision, measured")}
_FEW_POINTS = 24
_SMALLEST_SPREAD = 0.05


def draw_curves(axes: Axes, front: Front) -> None:
    """Draw the losses of *front*, their axes and a legend above them.

    Policies that all weigh the same (only activations differ) stand side by side instead.
    """
    one_size = all_one_size(front)
    placed = by_rank(front) if one_size else front
    scale = LossAxes.of(placed)
    axes.set_yscale("log")
    axes.set_ylim(scale.limits)
    axes.set_xlim(_bit_limits(placed))
    for kind in ("allocated", "uniform"):
        points = [point for point in placed.measured if point.kind == kind]
        _draw_measured(axes, points, scale, joined=kind == "allocated" and not one_size)
    _draw_predicted(axes, placed, scale, joined=not one_size)
    _mark_chosen(axes, placed, scale)
    _label_bits(axes, front, placed)
    axes.set_ylabel("KL(float ‖ quantized) on held-out data, nats" if front.measured
                    else _predicted_label(front))
    label_losses(axes, scale.limits)
    if separate(front):
        _draw_right_axis(axes, front, scale)
    _draw_legend(axes)


def _bit_limits(front: Front) -> tuple[float, float]:
    bits = all_bits(front) or [0.0, 8.0]
    spread = max(bits) - min(bits)
    room = 0.05 * spread if spread > _SMALLEST_SPREAD else 0.5
    return min(bits) - room, max(bits) + room


def _draw_predicted(axes: Axes, front: Front, scale: LossAxes, *, joined: bool) -> None:
    points = sorted(front.predicted, key=lambda point: point.bits_per_weight)
    if not points:
        return
    dots = not joined or len(points) <= _FEW_POINTS
    who = "mixed precision, predicted by" if joined else "predicted by"
    axes.plot([p.bits_per_weight for p in points],
              [max(p.predicted_loss / scale.factor, scale.limits[0]) for p in points],
              color=GREEN, linewidth=1.4, linestyle=(0, (4, 1.5)) if joined else "none",
              marker="o" if dots else "", markersize=3.5 if joined else 6, zorder=3,
              label=f"{who} {short(front.estimator, 20)}")


def _draw_measured(axes: Axes, points: Sequence[MeasuredPoint], scale: LossAxes, *,
                   joined: bool) -> None:
    if not points:
        return
    points = sorted(points, key=lambda point: point.bits_per_weight)
    color, marker, label = _LOOKS[points[0].kind]
    bottom = scale.limits[0]
    bits = [point.bits_per_weight for point in points]
    heights = [max(point.evaluation.kl, bottom) for point in points]
    errors = [point.evaluation.kl_stderr for point in points]
    # a bar that reaches below zero ends at the lower edge
    down = [height - max(height - error, bottom)
            for height, error in zip(heights, errors, strict=True)]
    axes.errorbar(bits, heights, yerr=(down, errors), color=color, marker=marker, markersize=5.5,
                  linestyle="-" if joined else "none", linewidth=0.9, elinewidth=1.3, capsize=2.5,
                  zorder=4, label=label, clip_on=False)
    for point, height in zip(points, heights, strict=True):
        _name_point(axes, point, height)


def _name_point(axes: Axes, point: MeasuredPoint, height: float) -> None:
    names = [short(point.label, 28)] if point.kind == "uniform" else []
    text = " ".join([*names, "(no loss)"] if point.evaluation.kl <= 0 else names)
    left, right = axes.get_xlim()
    near_edge = point.bits_per_weight > left + 0.8 * (right - left)
    axes.annotate(text, (point.bits_per_weight, height), textcoords="offset points",
                  xytext=(-6 if near_edge else 6, 5), ha="right" if near_edge else "left",
                  color=_LOOKS[point.kind][0], fontsize=8, zorder=6)


def chosen_in_words(front: Front) -> str:
    """One line with the size and the loss of the chosen policy, empty if it is not among them."""
    point = _find(front)
    if point is None:
        return ""
    if isinstance(point, MeasuredPoint):
        measured = point.evaluation
        loss = f"KL {with_error(measured.kl, measured.kl_stderr)} nats"
    else:
        loss = f"predicted loss {number(point.predicted_loss)} {front.unit}"
    return (f"Chosen {short(point.label, 24)}: {point.bits_per_weight:.2f} bits per weight, "
            f"file {human_bytes(point.file_bytes)}, {loss}")


def _mark_chosen(axes: Axes, placed: Front, scale: LossAxes) -> None:
    point = _find(placed)
    if point is None:
        return
    height = (point.evaluation.kl if isinstance(point, MeasuredPoint)
              else point.predicted_loss / scale.factor)
    axes.plot([point.bits_per_weight], [max(height, scale.limits[0])], marker="o", markersize=13,
              markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.6, linestyle="none",
              zorder=5, clip_on=False, label=f"chosen: {short(point.label, 24)}")


def _find(front: Front) -> MeasuredPoint | FrontPoint | None:
    points: list[MeasuredPoint | FrontPoint] = [*front.measured, *front.predicted]
    return next((point for point in points if front.chosen and point.label == front.chosen), None)


def _predicted_label(front: Front) -> str:
    return f"predicted loss ({front.estimator}), {front.unit}"


def _label_bits(axes: Axes, front: Front, placed: Front) -> None:
    axes.set_xlabel("bits per weight, scales and padding included" if front.over == "size" else
                    f"milliseconds on {front.device}")
    if placed is front:
        return
    labels = {point.bits_per_weight: point.label for point in placed.measured}
    axes.set_xticks(list(labels), [short(label, 18) for label in labels.values()], rotation=20,
                    ha="right")
    bits = front.measured[0].bits_per_weight
    axes.set_xlabel(f"policies; all store {bits:.4g} bits per weight" if front.over == "size" else
                    f"policies; all take {bits:.4g} ms on {front.device}")


def _draw_right_axis(axes: Axes, front: Front, scale: LossAxes) -> None:
    right = axes.twinx()
    right.set_yscale("log")
    limits = (scale.limits[0] * scale.factor, scale.limits[1] * scale.factor)
    right.set_ylim(limits)
    right.grid(visible=False)
    right.spines["right"].set(visible=True, color=GREY)
    # without this note the two curves would seem to agree in size, not only in shape
    right.set_ylabel(f"{_predicted_label(front)}\n(axis shifted to meet the measured points)",
                     color=GREEN)
    right.tick_params(axis="y", which="both", labelcolor=GREEN)
    label_losses(right, limits)


def label_losses(axes: Axes, limits: tuple[float, float]) -> None:
    """Plain numbers on a logarithmic vertical axis that shows *limits*."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    # under a decade and a half, powers of ten alone would leave an axis with one number
    subs = (1.0,) if limits[1] / limits[0] > 10**1.5 else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_legend(axes: Axes) -> None:
    labelled = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    order = [label for _, _, label in _LOOKS.values()]
    known = [label for label in order if label in labelled]
    labels = [*known, *(label for label in labelled if label not in known)]
    if labels:
        axes.legend([labelled[label] for label in labels], labels, loc="lower left",
                    bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2, handlelength=2.2,
                    columnspacing=2.0, fontsize=8.5)
