"""The vertical axes of the loss plot: logarithmic, with a place for zero, two units lined up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mpsearch.report.front import Front, FrontPoint, MeasuredPoint

NATS = "nats"
_EMPTY = (1e-3, 1.0)
_ROOM = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class LossAxes:
    """What the two sides of the plot show.

    *limits* bound the measured axis. The predicted losses are drawn divided by *factor*, so that
    an estimator whose unit is not that of the measurement still lies on the measured points; the
    right axis then reads ``limits * factor``. A loss that is not above zero, which a logarithm
    cannot show, stands on the lower edge.
    """

    limits: tuple[float, float]
    factor: float

    @classmethod
    def of(cls, front: Front) -> LossAxes:
        """Limits that hold every point, bar and curve of *front*."""
        factor = matching_factor(front)
        kls = [(point.evaluation.kl, point.evaluation.kl_stderr) for point in front.measured]
        heights = [*(kl for kl, _ in kls), *(kl + error for kl, error in kls),
                   *(kl - error for kl, error in kls if kl - error > kl / 10),
                   *(point.predicted_loss / factor for point in front.predicted)]
        return cls(limits=padded_limits(heights), factor=factor)


def separate(front: Front) -> bool:
    """Whether predicted and measured losses need an axis each."""
    return bool(front.measured) and bool(front.predicted) and front.unit != NATS


def matching_factor(front: Front) -> float:
    """Geometric mean of predicted over measured loss of the allocated policies, else of any.

    Where no policy has both losses above zero, the means of all predictions and all measurements
    are compared; 1 where both are in nats anyway.
    """
    if not separate(front):
        return 1.0
    allocated = [point for point in front.measured if point.kind == "allocated"]
    ratios = _log_ratios(allocated) or _log_ratios(front.measured)
    if ratios:
        return math.exp(_mean(ratios))
    losses = [math.log(p.predicted_loss) for p in front.predicted if p.predicted_loss > 0]
    kls = [math.log(p.evaluation.kl) for p in front.measured if p.evaluation.kl > 0]
    return math.exp(_mean(losses) - _mean(kls)) if losses and kls else 1.0


def padded_limits(heights: Sequence[float]) -> tuple[float, float]:
    """Limits of a logarithmic axis around the *heights* above zero, with some room."""
    positive = [height for height in heights if 0 < height < math.inf]
    if not positive:
        return _EMPTY
    low, high = math.log10(min(positive)), math.log10(max(positive))
    room = max(_ROOM * (high - low), 0.1)
    return 10 ** (low - room), 10 ** (high + room)


def all_one_size(front: Front) -> bool:
    """Whether several policies were measured and all store equally many bits."""
    sizes = {round(bits, 3) for bits in all_bits(front)}
    return len(front.measured) > 1 and len(sizes) == 1


def all_bits(front: Front) -> list[float]:
    """Bits per weight of every predicted and measured point."""
    return [*(point.bits_per_weight for point in front.predicted),
            *(point.bits_per_weight for point in front.measured)]


def by_rank(front: Front) -> Front:
    """*front* with its measured policies at 0, 1, 2 ... from most to least loss.

    Their own predictions take the place of the predicted front, whose points have no rank.
    """
    ordered = sorted(front.measured, key=lambda point: (-point.evaluation.kl, point.label))
    measured = tuple(replace(p, bits_per_weight=float(rank)) for rank, p in enumerate(ordered))
    predicted = tuple(
        FrontPoint(bits_per_weight=point.bits_per_weight, size_bits=0,
                   file_bytes=point.file_bytes, predicted_loss=point.predicted_loss)
        for point in measured if point.predicted_loss is not None)
    return replace(front, measured=measured, predicted=predicted)


def _log_ratios(points: Sequence[MeasuredPoint]) -> list[float]:
    pairs = [(point.predicted_loss, point.evaluation.kl) for point in points]
    return [math.log(loss / kl) for loss, kl in pairs if loss is not None and loss > 0 and kl > 0]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
