"""Steps that follow an arctangent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels

_WARPS = tuple(2.0 ** (k / 2) for k in range(-2, 9))
_WIDEST = (0.0, 0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tan(Levels):
    """Levels from 0 to the scale whose steps are finest near it, ``2**bits`` of them.

    For t in even steps from 0 to 1 the levels are ``atan(warp * (t - c))``, moved and scaled to
    begin at 0 and end at 1. Steps shrink on either side of c as ``1 / (1 + (warp * (t - c))**2)``:
    for c = 0 towards 1 alone, for c = 1/2 and 3/4 towards both ends. The warp is searched, from
    1/2 (nearly even steps) to 16, and so is c.

    Source: the aim of Yang et al., "DopQ-ViT: Towards Distribution-Friendly and Outlier-Aware
    Post-Training Quantization for Vision Transformers" (arXiv:2408.03291): attention above all
    needs the few values near 1. The levels are derived here from that aim; they are not known to be
    the paper's.
    """

    def tables(self, fmt: LevelFormat) -> Tensor:
        """One table for each warp and each place of the widest step."""
        return torch.stack([arctangent((1 << fmt.bits) - 1, warp, widest)
                            for widest in _WIDEST for warp in _WARPS])


def arctangent(steps: int, warp: float, widest: float) -> Tensor:
    """Levels [steps + 1] from 0 to 1 with the widest step at a share *widest* of the codes."""
    share = torch.arange(steps + 1, dtype=torch.float64) / steps
    curve = torch.atan(warp * (share - widest))
    return (curve - curve[0]) / (curve[-1] - curve[0])
