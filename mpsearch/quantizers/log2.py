"""Powers of two."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Log2(Levels):
    """``2**-k`` for k from 0, and 0 as a code of its own: ``2**bits`` levels in all.

    Source: Lin et al., "FQ-ViT: Post-Training Quantization for Fully Quantized Vision Transformer"
    (IJCAI 2022, arXiv:2111.13824), whose code has one level more than its codes can hold.
    """

    def tables(self, fmt: LevelFormat) -> Tensor:
        """One table."""
        return powers(fmt.bits, 1.0)


def powers(bits: int, step: float) -> Tensor:
    """0 and ``2**(-k * step)`` in rising order, [1, 2**bits]; what float32 cannot hold is 0."""
    exponents = torch.arange((1 << bits) - 2, -1, -1, dtype=torch.float64) * step
    levels = torch.where(exponents <= _DEEPEST, torch.exp2(-exponents), 0.0)
    return torch.cat([levels.new_zeros(1), levels]).unsqueeze(0)


_DEEPEST = 100
