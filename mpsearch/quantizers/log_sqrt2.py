"""Half powers of two."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels
from mpsearch.quantizers.log2 import powers
from mpsearch.quantizers.stairs import Strand


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

    def strands(self, fmt: LevelFormat, number: int) -> tuple[Strand, ...]:
        """Powers of two, and beside them those that are times the root of 1/2 in float32."""
        levels = self.tables(fmt)[number].to(torch.float32).tolist()
        own = [level if math.frexp(level)[0] == _HALF else 0.0 for level in levels]
        rooted = [(level - each) / _ROOT for level, each in zip(levels, own, strict=True)]
        return Strand.of(own), Strand.of(rooted)._replace(unit=Strand.of(rooted).unit * _ROOT)


_HALF = 0.5  # the fraction of every power of two
_ROOT = float(torch.tensor(0.5, dtype=torch.float64).sqrt().float())
