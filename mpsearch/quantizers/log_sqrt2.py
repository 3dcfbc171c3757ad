"""Half powers of two."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels
from mpsearch.quantizers.log2 import powers


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSqrt2(Levels):
    """``2**(-k / 2)`` for k from 0, and 0 as a code of its own: ``2**bits`` levels in all.

    An even k is a shift; an odd one a shift and one other scale, sqrt(2) times the first.

    Source: Li et al., "RepQ-ViT: Scale Reparameterization for Post-Training Quantization of Vision
    Transformers" (ICCV 2023, arXiv:2212.08254), section 3.3.
    """

    def tables(self, fmt: LevelFormat) -> Tensor:
        """One table."""
        return powers(fmt.bits, 0.5)
