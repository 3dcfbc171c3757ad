"""The same results from torch alone: exact, for machines where nothing can be compiled.

Products of codes are summed in float64, where whole numbers below 2**53 are exact in any order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from mpsearch.kernels.native import NotFinite
from mpsearch.kernels.packed import PackedWeight

_BYTE, _OFFSET, _HALF = 255, 128, 1 << 15
_UNITS, _LOWEST, _HIGHEST = 15, -125, 112
_SMALLEST, _LARGEST = 2.0**-24, 65504.0


def linear_sums(codes: Tensor, zero: Tensor, weight: PackedWeight) -> Tensor:
    """int32 sums [M, outputs] of *codes* [M, K] and a weight of one group."""
    steps = codes.double() - zero.view(-1, 1)
    return (steps @ weight.steps().double().T).to(torch.int32)


def linear(codes: Tensor, scale: Tensor, zero: Tensor, weight: PackedWeight,
           bias: Tensor | None) -> Tensor:
    """float32 [M, outputs], rounded at the same places as the compiled kernels round."""
    steps, own = codes.double() - zero.view(-1, 1), weight.steps().double()
    scales = weight.scales()
    total: Tensor | None = None
    for g in range(weight.groups):
        run = slice(g * weight.group, (g + 1) * weight.group)
        part = (steps[:, run] @ own[:, run].T).float() * scales[:, g]
        total = part if total is None else total + part
    assert total is not None  # noqa: S101 - a weight has a group
    out = total * scale.view(-1, 1)
    return out if bias is None else out + bias


def quantize(x: Tensor, first: int, last: int, *, scale: Tensor | None, zero: Tensor | None,
             symmetric: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Codes int8 of *x* [M, K], and their scales and zero points: those given, or one a row.

    Codes of more than 8 bits are int16.

    Raises:
        NotFinite: a number is NaN or infinite.
    """
    if not bool(x.isfinite().all()):
        raise NotFinite("the numbers are not all finite")
    wide = last - first > _BYTE
    half = _HALF if wide else _OFFSET
    offset = half if last >= half else 0
    if scale is None or zero is None:
        scale, zero = _chosen(x, first, last, symmetric=symmetric)
        zero -= offset
    whole = (x / scale.view(-1, 1)).round_().add_(zero.view(-1, 1) + offset)
    codes = whole.clamp_(first, last).sub_(offset).to(torch.int16 if wide else torch.int8)
    return codes, scale, zero


def _chosen(x: Tensor, first: int, last: int, *, symmetric: bool) -> tuple[Tensor, Tensor]:
    """For each row the smallest scale that clips nothing (float32), and its zero point (int32)."""
    if not x.shape[1]:
        return x.new_ones(len(x)), x.new_zeros(len(x), dtype=torch.int32)
    low, high = x.amin(1).double().clamp(max=0), x.amax(1).double().clamp(min=0)
    if symmetric:
        exact = torch.where(high / last >= low / first, high / last, -low / -first)
    else:
        exact = (high - low) / (last - first)
    exact = torch.where(exact > 0, exact, 1.0)
    exponent = (torch.frexp(exact).exponent - _UNITS).clamp(_LOWEST, _HIGHEST)
    unit = torch.ldexp(torch.ones_like(exact), exponent)
    units = (exact / unit).float().clamp(_SMALLEST, _LARGEST)
    start = (-(low / unit) / units).round().clamp(first, last)
    zero = torch.zeros_like(start) if symmetric else start
    return (units * unit).float(), zero.to(torch.int32)


def batched_sums(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor) -> Tensor:
    """int32 [B, M, N] of *a* [B, M, K] and *b* [B, N, K]."""
    left, right = a.double() - a_zero[..., None], b.double() - b_zero[..., None]
    return (left @ right.transpose(1, 2)).to(torch.int32)


def batched(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor,
            scales: tuple[Tensor, Tensor]) -> Tensor:
    """float32 [B, M, N]: the sums times *scales* [B, M] and [B, N], those of *b* first."""
    sums = batched_sums(a, a_zero, b, b_zero).float()
    return sums * scales[1][:, None, :] * scales[0][..., None]


def depthwise(codes: Tensor, filters: Tensor, zero: int, window: Sequence[int]) -> Tensor:
    """int32 sums of *codes* [B, C, H, W] and *filters* [C, kh, kw]."""
    stride, padding, dilation = window[:2], window[2:4], window[4:]
    sums = conv2d(codes.double() - zero, filters.double()[:, None], None, list(stride),
                  list(padding), list(dilation), groups=len(filters))
    return sums.to(torch.int32)


def level_digits(x: Tensor, scale: Tensor, shift: float, bounds: Tensor,
                 digits: Tensor) -> Tensor:
    """int8 [planes, M, K]: *digits* [planes, n] of the levels nearest to (*x* - shift) / scale.

    Raises:
        NotFinite: a number is NaN or infinite.
    """
    if not bool(x.isfinite().all()):
        raise NotFinite("the numbers are not all finite")
    ranks = torch.bucketize((x - shift) / scale.view(-1, 1), bounds)
    return digits[:, ranks]

