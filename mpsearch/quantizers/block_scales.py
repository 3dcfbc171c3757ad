"""Scales of blocks of small floats: powers of two (OCP MX), and E4M3 numbers (NVFP4)."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.core.formats.mini_float import MiniFloat
from mpsearch.quantizers.scales import floor_log2, power_of_two

_LEAST, _MOST = -127, 127  # exponents that E8M0 holds
_E4M3 = MiniFloat(exponent=4, mantissa=3)
_LEAST_E4M3 = _E4M3.magnitude(1)
_LEAST_SHARED = 2.0**-126


def mx_scales(reach: Tensor, numbers: MiniFloat) -> list[Tensor]:
    """The power of two of the OCP MX specification (1.0, section 6.3), and the next one.

    The first is ``2**(floor(log2(reach)) - highest)``, float32 [S, 1] from *reach* float64: what
    lies beyond the largest number saturates. With the next one nothing does, at half the
    resolution.
    """
    exponent = torch.where(reach > 0, floor_log2(reach) - numbers.highest, _LEAST)
    return [power_of_two((exponent + more).clamp(_LEAST, _MOST)).float() for more in (0, 1)]


def nv_shared(reach: Tensor, numbers: MiniFloat, tokens: int = 1) -> Tensor:
    """The scale that blocks share: with it the largest block has the largest E4M3 scale.

    float32 [1] for all, or [S, 1] where each of so many *tokens*, blocks in a row, has its own.
    """
    exact = reach.view(tokens, -1).amax(1) / (numbers.largest * _E4M3.largest)
    shared = torch.where(exact > 0, exact, 1.0).clamp(min=_LEAST_SHARED).float()
    return shared if tokens == 1 else shared.repeat_interleave(len(reach) // tokens)[:, None]


def nv_scales(reach: Tensor, numbers: MiniFloat, shared: Tensor) -> list[Tensor]:
    """Scales of blocks, float32 [S, 1]: the E4M3 number nearest to what reaches, and others.

    Others let a block reach further or less far. One that maps the reach to 4 instead of 6 leaves
    the widest gap of E2M1 unused (Cook et al., "Four Over Six", arXiv:2512.02010).
    """
    exact = reach / (numbers.largest * shared.double())
    near = [(exact * share).clamp(_LEAST_E4M3, _E4M3.largest).float().to(torch.float8_e4m3fn)
            for share in _NV_SHARES]
    return [each.float() * shared for each in near]


_NV_SHARES = (1.0, 0.75, 0.875, 1.125, 1.25, 1.375, 1.5)
