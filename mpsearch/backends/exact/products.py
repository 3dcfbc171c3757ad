"""Products of whole numbers, and where they are rounded: as integer kernels do it.

Sums of codes are exact (float64 holds whole numbers below 2**53). They become float32, then are
multiplied by the scales of the weight, one group after the other, then by those of the activation;
what is added comes last. Where an operand has codes of more than 8 bits, or a product of matrices
so many terms under one scale that int32 may not hold their sum, float32 would round the sums: these
are scaled in float64, and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mpsearch.backends.exact.steps import Steps
from mpsearch.kernels.packed import longest

_WIDE = 8


def linear(x: Steps, weight: Steps, run: int, *, bits: int) -> Tensor:
    """*x* [..., K] times *weight* [..., K, N], whose scales are shared by *run* inputs.

    *bits* are those of the wider operand's codes.
    """
    terms = x.whole.shape[-1]
    kind = _kind(bits, terms if run >= terms else 0)
    total: Tensor | None = None
    for first in range(0, x.whole.shape[-1], run):
        own = slice(first, first + run)
        sums = x.whole[..., own] @ weight.whole[..., own, :]
        part = sums.to(kind) * weight.scale[..., first, None, :].to(kind)
        total = part if total is None else total + part
    assert total is not None  # noqa: S101 - layers have inputs
    return (total * x.scale[..., :1].to(kind)).float()


def convolution(x: Steps, weight: Steps, run: int, convolve: Callable[..., Tensor], *,
                bits: int) -> Tensor:
    """What *convolve* makes of *x* [B, C, ...] and *weight* [N, C / groups, ...], in rounded sums.

    *run* numbers of a filter, in their order, share a scale; *bits* as for `linear`.
    """
    kind = _kind(bits)
    outputs, length = len(weight.whole), weight.whole[0].numel()
    over = (-1, *[1] * (weight.whole.dim() - 2))
    total: Tensor | None = None
    for first in range(0, length, run):
        inside = torch.zeros(length, dtype=torch.float64)
        inside[first: first + run] = 1
        sums = convolve(x.whole, weight.whole * inside.view(weight.whole.shape[1:]))
        scale = weight.scale.reshape(outputs, -1)[:, first].view(over)
        part = sums.to(kind) * scale.to(kind)
        total = part if total is None else total + part
    assert total is not None  # noqa: S101 - filters have weights
    one = x.scale.flatten(1 - weight.whole.dim())[..., 0]  # for each sample, or for all
    return (total * one.view(*one.shape, 1, *over[1:]).to(kind)).float()


def matmul(left: Steps, right: Steps, *, bits: int) -> Tensor:
    """*left* [..., M, K] times *right* [..., K, N]; *bits* as for `linear`."""
    kind = _kind(bits, left.whole.shape[-1])
    sums = (left.whole @ right.whole).to(kind)
    return (sums * right.scale[..., :1, :].to(kind) * left.scale[..., :1].to(kind)).float()


def added(out: Tensor, bias: Any) -> Tensor:
    """*out* plus *bias*, which may be none."""
    return out if bias is None else out + bias


def _kind(bits: int, terms: int = 0) -> torch.dtype:
    return torch.float64 if bits > _WIDE or terms > longest(_WIDE) else torch.float32
