"""Products of numbers that take several digits, exact until they are scaled.

Every pair of digits is one product of the 8-bit kernels, whose sums int32 holds. These are added in
float64, each times its power of 256, lowest first: exact below 2**53, and above that each
addition rounds at that place, 29 bits below where float32 rounds. The scales follow in float64, and
one rounding to float32. Where inputs come in groups with scales of their own, that is done for one
group after the other, and what they add to is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mpsearch.kernels.activation import Activation
from mpsearch.kernels.convolution import PackedFilters, conv2d, conv2d_sums
from mpsearch.kernels.digits import BASE
from mpsearch.kernels.numbers import Numbers, Strand
from mpsearch.kernels.packed import PackedWeight, longest
from mpsearch.kernels.products import linear, linear_sums, matmul, matmul_sums
from mpsearch.kernels.whole_weight import Decoded, Part, WholeWeight

Pair = tuple[int, int]
_WIDE = 8


def any_linear(a: Activation | Numbers, weight: PackedWeight | WholeWeight,
               bias: Tensor | None = None) -> Tensor:
    """*a* [..., inputs] times *weight*, plus *bias*: float32 [..., outputs].

    Raises:
        BadInput: the shapes do not fit.
    """
    if isinstance(a, Activation) and isinstance(weight, PackedWeight):
        return linear(a, weight, bias)
    left, right = Numbers.of(a), WholeWeight.of(weight)

    def multiply(plane: Activation, parts: Sequence[PackedWeight]) -> Tensor:
        runs = [plane._replace(codes=plane.codes[..., run]) for run in right.runs]
        sums = [linear_sums(run, part) for run, part in zip(runs, parts, strict=True)]
        return sums[0] if len(sums) == 1 else _together(sums)

    total = (_of_groups(left, right) if right.scale is None
             else _summed(left.strands, right.strands, multiply) * right.scale)
    out = (total * _by_row(left.scale, left.codes)).float()
    return out if bias is None else out + bias.float()


def any_matmul(a: Activation | Numbers, b: Activation | Numbers) -> Tensor:
    """*a* [..., M, K] times *b* [..., N, K] transposed: float32 [..., M, N].

    Raises:
        BadInput: the shapes do not fit.
    """
    length, most = a.codes.shape[-1], longest(_WIDE)
    if (isinstance(a, Activation) and isinstance(b, Activation) and length <= most
            and a.codes.dtype == b.codes.dtype == torch.int8):
        return matmul(a, b)
    left, right = Numbers.of(a), Numbers.of(b)
    batch = left.codes.shape[:-2]
    runs = [slice(at, at + most) for at in range(0, length, most)]

    def cut(x: Activation, run: slice) -> Activation:
        return x._replace(codes=x.codes.expand(*batch, *x.codes.shape[-2:])[..., run])

    def multiply(one: Activation, two: Activation) -> Tensor:
        sums = [matmul_sums(cut(one, run), cut(two, run)) for run in runs]
        return sums[0] if len(sums) == 1 else _together(sums)

    total = _summed(left.strands, right.strands, multiply)
    of_rows, of_columns = (_by_row(x.scale, x.codes) for x in (left, right))
    if right.scale.numel() != 1:
        of_columns = of_columns.transpose(-2, -1)
    return (total * of_columns * of_rows).float()


def any_conv2d(a: Activation | Numbers, filters: PackedFilters | Sequence[Strand],
               bias: Tensor | None = None, *, scale: Tensor | None = None, stride: Pair = (1, 1),
               padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> Tensor:
    """The convolution of *a* [B, C, H, W], which has one scale, plus *bias*.

    *filters* of several digits are strands of `PackedFilters` and *scale* is that of every output,
    or None where the digits hold it, for each group of inputs.

    Raises:
        BadInput: the shapes do not fit, or scales differ from row to row.
    """
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    if isinstance(filters, PackedFilters):
        if isinstance(a, Activation):
            return conv2d(a, filters, bias, **window)
        filters = (Strand(1.0, (filters,)),)
    left = Numbers.of(a)
    scales = filters[0].planes[0].scales() if scale is None else scale.view(-1, 1)
    total: Tensor | None = None
    for number, own in enumerate(scales.unbind(1)):
        def multiply(plane: Activation, digit: PackedFilters, number: int = number) -> Tensor:
            return conv2d_sums(plane, digit, number=number if scale is None else None, **window)

        scaled = _summed(left.strands, filters, multiply) * own.double().view(-1, 1, 1)
        total = scaled if total is None else total + scaled
    assert total is not None  # noqa: S101 - there is a scale
    out = (total * left.scale.double()).float()
    return out if bias is None else out + bias.float().view(-1, 1, 1)


def _of_groups(left: Numbers, right: WholeWeight) -> Tensor:
    """float64 sums over each group of inputs, times its scales, one group after the other."""
    strands = [Strand(unit, tuple(_ready(digit)[0] for digit in digits))
               for unit, digits in right.strands]
    first: PackedWeight = strands[0].planes[0]
    total: Tensor | None = None
    for number, scale in enumerate(first.scales().double().unbind(1)):
        own = [Strand(unit, tuple(part.of_group(number) for part in parts))
               for unit, parts in strands]
        sums = _summed(left.strands, own, partial(_of_run, first.run(number)))
        total = sums * scale if total is None else total + sums * scale
    assert total is not None  # noqa: S101 - there is a group
    return total


def _of_run(run: slice, plane: Activation, part: PackedWeight) -> Tensor:
    return linear_sums(plane._replace(codes=plane.codes[..., run]), part)


def _summed(left: Sequence[Strand], right: Sequence[Strand],
            multiply: Callable[[Any, Any], Tensor]) -> Tensor:
    """float64 sums of all pairs of planes, the first strand of *left* having all rows."""
    totals: list[Tensor] = []
    for unit, digits in right:
        own: dict[int, Tensor] = {}
        for j, digit in enumerate(digits):
            ready = _ready(digit)
            for s, strand in enumerate(left):
                for i, plane in enumerate(strand.planes):
                    _add(own, s, multiply(plane, ready), float(BASE ** (i + j)))
        totals += [own[s].mul_(unit * strand.unit) for s, strand in enumerate(left)]
    return sum(totals[1:], start=totals[0])


def _add(totals: dict[int, Tensor], place: int, sums: Tensor, power: float) -> None:
    if place in totals:
        totals[place].add_(sums.double(), alpha=power)
    else:
        totals[place] = sums.double().mul_(power) if power > 1 else sums.double()


def _ready(digit: Any) -> Any:
    """A weight's digit as the kernels read it; anything else as it is."""
    def each(part: Part) -> PackedWeight:
        return part.ready() if isinstance(part, Decoded) else part

    if isinstance(digit, tuple) and not isinstance(digit, Activation):
        return tuple(each(part) for part in digit)
    return digit


def _together(sums: Sequence[Tensor]) -> Tensor:
    return sum((each.long() for each in sums[1:]), start=sums[0].long())


def _by_row(scale: Tensor, codes: Tensor) -> Tensor:
    """float64 scales beside the rows of *codes*."""
    wide = scale.double()
    return wide if wide.numel() == 1 else wide.view(*codes.shape[:-1], 1)
