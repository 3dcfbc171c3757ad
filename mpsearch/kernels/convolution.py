"""Convolution of 8-bit codes: windows as rows of a linear layer, or directly where depthwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from mpsearch.core.errors import BadInput
from mpsearch.kernels.activation import Activation
from mpsearch.kernels.packed import PackedWeight
from mpsearch.kernels.products import linear, linear_sums
from mpsearch.kernels.shapes import out_size

_PLANES = 4  # dimensions of an image batch
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedFilters:
    """Filters of a convolution: a packed weight for each group of channels.

    *kernel* is height and width, *channels* those of the input. Where every channel has one filter
    of its own (and one scale), *depthwise* holds the filters less their zero points, int16
    [channels, height, width].
    """

    parts: tuple[PackedWeight, ...]
    kernel: Pair
    channels: int
    depthwise: Tensor | None

    def scales(self) -> Tensor:
        """Scales, float32 [outputs, groups of scales]."""
        return torch.cat([part.scales() for part in self.parts])

    @classmethod
    def of(cls, codes: Tensor, scale: Tensor, zero: Tensor | None = None, *, bits: int, first: int,
           group: int | None = None, groups: int = 1) -> Self:
        """Pack *codes* [outputs, channels / groups, height, width]; see `PackedWeight.of`.

        *group* counts scales' runs along channels, height and width in row-major order; *groups*
        are those of the convolution.

        Raises:
            BadInput: as `PackedWeight.of`, or *groups* do not divide the outputs.
        """
        outputs, inner, *kernel = codes.shape
        if outputs % groups:
            raise BadInput(f"{groups} groups do not divide {outputs} outputs of a convolution")
        own = outputs // groups
        rows = codes.reshape(groups, own, -1)
        zero = torch.zeros(1, dtype=torch.int32) if zero is None else zero
        cut = zip(rows, _cut(scale, groups), _cut(zero, groups), strict=True)
        parts = tuple(PackedWeight.of(*each, bits=bits, first=first, group=group) for each in cut)
        alone = groups > 1 and inner == own == 1 and parts[0].groups == 1
        steps = torch.cat([part.steps() for part in parts]) if alone else None
        return cls(parts=parts, kernel=(kernel[0], kernel[1]), channels=inner * groups,
                   depthwise=None if steps is None else
                   steps.view(outputs, *kernel).to(torch.int16))


def conv2d(a: Activation, filters: PackedFilters, bias: Tensor | None = None, *,
           stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> Tensor:
    """The convolution of *a* [B, C, H, W], whose one scale and zero are those of all numbers.

    float32 [B, outputs, height, width]. Padding stands for 0.0: it is the zero point.

    Raises:
        BadInput: shapes do not fit, or scales differ from row to row.
    """
    _check(a, filters, (*stride, *padding, *dilation))
    if filters.depthwise is not None and a.codes.dtype == torch.int8:
        sums = _depthwise(a, filters.depthwise, (*stride, *padding, *dilation))
        out = sums.float() * filters.scales().view(-1, 1, 1) * a.scale
        return out if bias is None else out + bias.view(-1, 1, 1)
    rows = _windows(a, filters, stride, padding, dilation)
    outs = [linear(each, part) for each, part in zip(rows, filters.parts, strict=True)]
    out = torch.cat(outs, -1)
    return (out if bias is None else out + bias).permute(0, 3, 1, 2)


def conv2d_sums(a: Activation, filters: PackedFilters, *, number: int | None = None,
                stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> Tensor:
    """The exact sums of `conv2d`, int32 (int64 for 16-bit codes).

    Of filters whose scales have groups, those over the group of that *number*.

    Raises:
        BadInput: as `conv2d`, or the filters' scales have groups and no *number* is given.
    """
    _check(a, filters, (*stride, *padding, *dilation))
    if filters.depthwise is not None and a.codes.dtype == torch.int8:
        return _depthwise(a, filters.depthwise, (*stride, *padding, *dilation))
    rows, parts = _windows(a, filters, stride, padding, dilation), filters.parts
    if number is not None:
        rows = [each._replace(codes=each.codes[..., part.run(number)])
                for each, part in zip(rows, parts, strict=True)]
        parts = tuple(part.of_group(number) for part in parts)
    outs = [linear_sums(each, part) for each, part in zip(rows, parts, strict=True)]
    return torch.cat(outs, -1).permute(0, 3, 1, 2)


def _depthwise(a: Activation, filters: Tensor, window: tuple[int, ...]) -> Tensor:
    out: Tensor = torch.ops.mpsearch.int_depthwise_sums(
        a.codes.contiguous(), filters, int(a.zero), list(window))
    return out


def _windows(a: Activation, filters: PackedFilters, stride: Pair, padding: Pair,
             dilation: Pair) -> list[Activation]:
    """For each group the codes under the filter, [B, height, width, channels * kernel]."""
    codes, (high, wide) = a.codes, padding
    kernel, groups = filters.kernel, len(filters.parts)
    size = out_size(codes.shape[2:], kernel, (*stride, *padding, *dilation))
    full = pad(codes, (wide, wide, high, high), value=int(a.zero)) if high or wide else codes
    batch, channel, row, column = full.stride()
    shape = (len(codes), *size, codes.shape[1], *kernel)
    steps = (batch, row * stride[0], column * stride[1], channel, row * dilation[0],
             column * dilation[1])
    windows = full.as_strided(shape, steps).chunk(groups, 3)
    return [Activation(each.flatten(3), a.scale, a.zero) for each in windows]


def _check(a: Activation, filters: PackedFilters, window: tuple[int, ...]) -> None:
    if a.codes.dim() != _PLANES or a.codes.shape[1] != filters.channels:
        raise BadInput(f"codes of shape {tuple(a.codes.shape)} for a convolution of "
                       f"{filters.channels} channels: it takes [batch, channels, height, width]")
    if a.scale.numel() != 1 or a.zero.numel() != 1:
        raise BadInput("a convolution takes one scale and zero point for all numbers of its input")
    if min(out_size(a.codes.shape[2:], filters.kernel, window)) < 1:
        raise BadInput(f"a kernel of {' x '.join(map(str, filters.kernel))} does not fit codes of "
                       f"shape {tuple(a.codes.shape)} with stride, padding and dilation {window}")


def _cut(table: Tensor, groups: int) -> list[Tensor]:
    """A weight's scales or zero points for each group of the convolution."""
    return [table] * groups if table.numel() == 1 else list(table.reshape(groups, -1))
