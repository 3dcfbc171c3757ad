"""A region of fine and one of coarse steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels
from mpsearch.quantizers.stairs import Strand

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
        return torch.stack([_shares(steps) for steps in _all_steps(fmt.bits)])

    def strands(self, fmt: LevelFormat, number: int) -> tuple[Strand, ...]:
        """Fine steps; the largest magnitude counts as 1."""
        steps = _all_steps(fmt.bits)[number]
        return (Strand(unit=1 / float(steps.abs().max()), whole=tuple(map(int, steps.tolist()))),)


def by_sign(bits: int, m: int) -> Tensor:
    """Half of the codes below 0 in fine steps; 0 and the others above it in coarse steps."""
    return _shares(_steps_by_sign(bits, m))


def by_size(bits: int, m: int) -> Tensor:
    """0 and half of the codes in fine steps; above them the other half in coarse steps."""
    return _shares(_steps_by_size(bits, m))


def _all_steps(bits: int) -> list[Tensor]:
    return [make(bits, m) for make in (_steps_by_sign, _steps_by_size) for m in _OCTAVES]


def _shares(steps: Tensor) -> Tensor:
    return steps / steps.abs().max()


def _steps_by_sign(bits: int, m: int) -> Tensor:
    half = 1 << (bits - 1)
    fine = torch.arange(-half, 0, dtype=torch.float64)
    coarse = torch.arange(half, dtype=torch.float64) * 2**m
    return torch.cat([fine, coarse])


def _steps_by_size(bits: int, m: int) -> Tensor:
    half = 1 << (bits - 1)
    fine = torch.arange(half, dtype=torch.float64)
    first = ((half - 1) >> m) + 1
    coarse = torch.arange(first, first + half, dtype=torch.float64) * 2**m
    return torch.cat([fine, coarse])
