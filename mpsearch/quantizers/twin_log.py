"""Powers on both sides of 0."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels
from mpsearch.quantizers.sulq import shifted_powers

_ETAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinLog(Levels):
    """Levels at even steps of ``log2(|x| + eta)`` on either side of 0, and 0.

    Both sides have the same ``2**(bits - 1) - 1`` levels and one scale; one code is spare. eta
    counts in scales and is chosen for a tensor, the scale for each of its slices.

    Source: Yang et al., "LRQ-DiT: Log-Rotation Post-Training Quantization of Diffusion Transformers
    for Text-to-Image Generation" (arXiv:2508.03485). Its code lets the range of the logarithm grow
    to that of the numbers of the other side, and has a level more than its codes can hold; here the
    range is that of the side itself, and 0 has its code.
    """

    def tables(self, fmt: LevelFormat) -> Tensor:
        """One table for each eta; 2 bits have one level a side, whatever eta is."""
        steps = (1 << (fmt.bits - 1)) - 1
        sides = [shifted_powers(steps, eta) for eta in (_ETAS if steps > 1 else _ETAS[:1])]
        return torch.stack([torch.cat([-side[1:].flip(0), side]) for side in sides])
