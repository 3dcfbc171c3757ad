"""Squared error of the layer's output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.replayed import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputError:
    """``Σ dz²``, a sample: how far the layer's output moves. Needs inputs, no labels, no gradient.

    It ignores how much the network's output depends on the layer, so that scores of different
    layers do not compare well: a baseline.
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "squared output"
    rides_along: ClassVar[bool] = True
    draws: ClassVar[int] = 0
    rules: ClassVar[None] = None

    def score(self, replayed: Replayed) -> Tensor:
        """The squared change of one layer's output, a sample."""
        return replayed.error

    def finish(self, contributions: Tensor) -> Tensor:
        """The sum over layers, as it is."""
        return contributions
