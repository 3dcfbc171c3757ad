"""Divergence of the output when one group is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class KlProbe:
    """``KL(float || one group quantized)`` of the output, in nats: measured, not approximated.

    One group at a time, so what two quantized groups do to each other is not seen.
    """

    engine: ClassVar[str] = "probe"
    unit: ClassVar[str] = "nats"

    def score(self, reference: Tensor, output: Tensor) -> Tensor:
        """The divergence of each sample."""
        from mpsearch import metrics

        return metrics.kl(reference, output)
