"""Every interaction of two layers, from probes of one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from mpsearch.core.types import ScoreTable
    from mpsearch.sensitivity.probe import Collector
    from mpsearch.sensitivity.study import Rows, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitGram:
    """``G_ij = ½ E⟨Δ_i, F Δ_j⟩`` with the softmax Fisher ``F = diag(p) - p pᵀ``, in nats.

    ``Δ_i`` is what scheme i of its group, alone, does to the logits. To second order KL(float ||
    quantized) of a whole policy is the sum of ``G_ij`` over all its pairs: the diagonal scores
    the groups, what is off it is their interaction, and both come from the single probes alone.

    The off-diagonals are noisy, and an optimiser finds the noise. They are shrunk toward zero by
    the factor that predicts them best on held-out *folds* of the images, and kept as the *rank*
    leading directions. Where an output has more than *dimensions* numbers a sample, it is
    projected onto so many by a seeded count sketch, which keeps inner products on average.
    """

    engine: ClassVar[str] = "probe"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = False
    needs_outputs: ClassVar[bool] = True
    folds: int = 4
    rank: int = 64
    dimensions: int = 16384

    def units(self, study: Study) -> list[str]:
        """One a batch: pairs need all groups of it."""
        return [str(number) for number in range(len(study.batches))]

    def collector(self, study: Study, batch: int) -> Collector:
        """Keeps the weighted changes of the logits of a whole batch."""
        from mpsearch.sensitivity.gram import GramCollector

        return GramCollector(self, study, batch)

    def table(self, name: str, study: Study, rows: Mapping[str, Rows]) -> ScoreTable:
        """The diagonal as scores, the shrunk rest as the table's factor."""
        from mpsearch.sensitivity.gram import gram_table

        return gram_table(self, name, study, rows)
