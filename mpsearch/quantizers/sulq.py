"""Powers less a constant."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels

_ETAS = (0.001, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.5, 1.0)  # as published


@dataclass(frozen=True, slots=True, kw_only=True)
class Sulq(Levels):
    """Levels at even steps of ``log2(x + eta)`` from x = 0 to the scale: ``2**bits`` of them.

    A small eta leads to powers, a large one to even steps. It counts in scales, so that numbers of
    any size are treated as those after a softmax are.

    Source: Zhong et al., "I&S-ViT: An Inclusive & Stable Method for Pushing the Limit of
    Post-Training ViTs Quantization" (arXiv:2311.10126), section 3.2. Its code clamps to
    ``2**bits`` rather than to one less, which is a code too many; here there is none.
    """

    def tables(self, fmt: LevelFormat) -> Tensor:
        """One table for each eta."""
        return torch.stack([shifted_powers((1 << fmt.bits) - 1, eta) for eta in _ETAS])


def shifted_powers(steps: int, eta: float) -> Tensor:
    """``2**y - eta`` for y in even *steps* from ``log2(eta)`` to ``log2(1 + eta)``, [steps + 1].

    The first is 0 and the last 1.
    """
    share = torch.arange(steps + 1, dtype=torch.float64) / steps
    growth = torch.log1p(torch.tensor(1 / eta, dtype=torch.float64))
    levels = eta * torch.expm1(share * growth)
    levels[-1] = 1.0
    return levels
