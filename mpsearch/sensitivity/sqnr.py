"""Quantization noise relative to the signal at the layer's output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.replayed import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqnr:
    """``Σ dz² / Σ z²``, a sample: the inverse of the signal-to-quantization-noise ratio.

    Larger is worse, so that scores add up; the ratio in decibels is ``-10 log10`` of it. Unlike the
    plain output error it compares layers of different scale, and still ignores how much the
    network's output depends on them (the ordering of Pandey et al., 2023, at the layer).
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "noise over signal"
    rides_along: ClassVar[bool] = True
    draws: ClassVar[int] = 0
    rules: ClassVar[None] = None

    def score(self, replayed: Replayed) -> Tensor:
        """Noise over signal of one layer's output, a sample."""
        seen = replayed.seen
        signal = seen.once("signal", lambda: seen.dot(seen.z, seen.z).clamp(min=1e-30))
        return replayed.error / signal

    def finish(self, contributions: Tensor) -> Tensor:
        """The sum over layers, as it is."""
        return contributions
