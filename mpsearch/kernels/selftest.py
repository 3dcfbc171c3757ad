"""Whether a path computes what it should on this processor: the numbers most likely to go wrong.

Codes at their limits make every intermediate sum as large as it can be. A saturating or misread
instruction shows here, before a network is run on it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.kernels import function_steps, native, reference
from mpsearch.kernels.library import Kernels
from mpsearch.kernels.native_functions import GELU, LAYER_NORM, SOFTMAX, function
from mpsearch.kernels.packed import BITS, PackedWeight

_ROWS, _OUTPUTS, _INPUTS = 8, 70, 333
_LOW, _HIGH = -128, 127
_ODD = 83


def is_right(own: Kernels) -> bool:
    """Whether *own* gives the numbers that int64 arithmetic and plain rounding give."""
    return (all(_linear_is_right(own, bits) for bits in BITS) and _pairs_are_right(own)
            and all(_codes_are_right(own, symmetric=each) for each in (True, False))
            and _functions_are_right(own))


def _linear_is_right(own: Kernels, bits: int) -> bool:
    top = (1 << bits) - 1
    codes = _extreme((_OUTPUTS, _INPUTS), 0, top, seed=bits)
    weight = PackedWeight.of(codes, torch.ones(1), bits=bits, first=0)
    x = _extreme((_ROWS, _INPUTS), _LOW, _HIGH, seed=bits + 100)
    zero = torch.full((_ROWS,), _HIGH, dtype=torch.int32)
    wanted = (x.long() - _HIGH) @ codes.long().T
    return all(torch.equal(native.linear(
        own, x[:rows].to(torch.int8), zero[:rows], weight.stream,
        (weight.scale, weight.zero, weight.sums), bits=bits, outputs=_OUTPUTS,
        group=weight.group, way=way).long(), wanted[:rows])
        for way in (native.FUSED, native.BUFFERED) for rows in (1, 2, _ROWS))


def _pairs_are_right(own: Kernels) -> bool:
    a, b = (_extreme((1, rows, _INPUTS), _LOW, _HIGH, seed=rows) for rows in (_ROWS, _OUTPUTS))
    a_zero, b_zero = (torch.full((1, rows), _LOW, dtype=torch.int32)
                      for rows in (_ROWS, _OUTPUTS))
    made = native.batched(own, a.to(torch.int8), a_zero, b.to(torch.int8), b_zero)
    return torch.equal(made.long(), (a - _LOW).long() @ (b - _LOW).long().transpose(1, 2))


def _codes_are_right(own: Kernels, *, symmetric: bool) -> bool:
    """Of rows of small and large numbers with ties: half of every whole number of steps."""
    steps = torch.arange(_INPUTS).remainder(256) / 2 - 64
    x = steps[None] * torch.tensor([[2.0**-30], [1.0], [2.0**40]])
    first, last = (_LOW, _HIGH) if symmetric else (0, _HIGH - _LOW)
    return all(torch.equal(one, two) for one, two in zip(
        native.quantize(own, x, first, last, symmetric=symmetric),
        reference.quantize(x, first, last, scale=None, zero=None, symmetric=symmetric),
        strict=True))


def _functions_are_right(own: Kernels) -> bool:
    """Where exponentials end, in rows that fill no vector."""
    x = torch.linspace(-90, 90, 5 * _ODD).view(5, _ODD)
    return (torch.equal(function(own, GELU, x), function_steps.gelu(x))
            and torch.equal(function(own, SOFTMAX, x * 3), function_steps.softmax(x * 3))
            and torch.equal(function(own, LAYER_NORM, x, eps=1e-5),
                            function_steps.layer_norm(x, None, None, 1e-5)))


def _extreme(shape: tuple[int, ...], low: int, high: int, *, seed: int) -> Tensor:
    """Integers: the first row all *low*, the second all *high*, others mixed of the two."""
    generator = torch.Generator().manual_seed(seed)
    made = torch.where(torch.rand(shape, generator=generator) < 0.5, low, high)  # noqa: PLR2004
    rows = made.view(-1, shape[-1])
    rows[0], rows[1] = low, high
    return made
