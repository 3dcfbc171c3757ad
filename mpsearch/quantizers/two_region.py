"""A region of fine and one of coarse steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels

_OCTAVES = range(11)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoRegion(Levels):
    """Two runs of even steps with half of the codes each; their ratio ``2**m`` is searched.

    A level is a whole number of fine steps, and of the coarse region a whole number shifted left by
    m, so that integer arithmetic needs no second scale.

    Source: Yuan et al., "PTQ4ViT: Post-Training Quantization for Vision Transformers with Twin
    Uniform Quantization" (ECCV 2022, arXiv:2111.12293), section 3.2; the search of m is the aim of
    MPTQ-ViT (arXiv:2401.14895), here by the squared error of the numbers. After a softmax, codes of
    the coarse region that would repeat numbers of the fine one are used for larger numbers.
    """

    def tables(self, fmt: LevelFormat) -> Tensor:
        """One table for each m from 0 to 10 and each of the two ways to divide the numbers."""
        return torch.stack([make(fmt.bits, m) for make in (by_sign, by_size) for m in _OCTAVES])


def by_sign(bits: int, m: int) -> Tensor:
    """Half of the codes below 0 in fine steps; 0 and the others above it in coarse steps."""
    half = 1 << (bits - 1)
    fine = torch.arange(-half, 0, dtype=torch.float64)
    coarse = torch.arange(half, dtype=torch.float64) * 2**m
    levels = torch.cat([fine, coarse])
    return levels / levels.abs().max()


def by_size(bits: int, m: int) -> Tensor:
    """0 and half of the codes in fine steps; above them the other half in coarse steps."""
    half = 1 << (bits - 1)
    fine = torch.arange(half, dtype=torch.float64)
    first = ((half - 1) >> m) + 1
    coarse = torch.arange(first, first + half, dtype=torch.float64) * 2**m
    levels = torch.cat([fine, coarse])
    return levels / levels[-1]
