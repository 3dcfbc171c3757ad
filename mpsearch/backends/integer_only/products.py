"""Products of integers: linear layers, convolutions, and products of two activations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.backends.integer_only.dyadic import Dyadic


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """``x @ weight.T + bias`` in int32, and to the output's grid.

    *weight* [outputs, inputs] and *bias* [outputs] (int32, in units of input scale times weight
    scale) are stored; *dyadic* has a fraction for each output. Whoever makes it has proven that the
    absolute values of what is summed add up to less than 2**31 for every output, so that no order
    of summation overflows.
    """

    weight: Tensor
    bias: Tensor
    dyadic: Dyadic
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """The output's integers, [..., outputs]."""
        sums = codes.to(torch.int32) @ self.weight.to(torch.int32).t()
        return self.dyadic(sums.add_(self.bias)).to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution:
    """A convolution of any dimension: windows laid out in rows, times the weight, as `Linear`.

    *weight* is [groups, outputs of a group, inputs of a group * window]. *padding* are the zeros
    before and after each dimension.
    """

    weight: Tensor
    bias: Tensor
    dyadic: Dyadic
    dtype: torch.dtype
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def __call__(self, codes: Tensor) -> Tensor:
        """The output's integers, [samples, outputs, *places]."""
        rows, places = self._rows(codes.to(torch.int32))
        sums = rows @ self.weight.to(torch.int32).transpose(-2, -1)  # [groups, rows, outputs]
        sums = sums.transpose(0, 1).flatten(1).add_(self.bias)
        made = self.dyadic(sums).to(self.dtype)
        return made.view(codes.shape[0], *places, -1).movedim(-1, 1)

    def _rows(self, x: Tensor) -> tuple[Tensor, Sequence[int]]:
        """Windows as rows, [groups, samples * places, inputs of a group * window]; the places."""
        around = [size for pair in reversed(self.padding) for size in pair]
        x = torch.ops.aten.constant_pad_nd.default(x, around, 0)
        for dim, (size, step, gap) in enumerate(
                zip(self.kernel, self.stride, self.dilation, strict=True), start=2):
            x = x.unfold(dim, gap * (size - 1) + 1, step)[..., ::gap]
        dims = len(self.kernel)
        places = x.shape[2:2 + dims]
        x = x.reshape(len(x), len(self.weight), -1, *x.shape[2:]).movedim(1, 0)  # groups first
        x = x.movedim(2, 2 + dims)  # [groups, samples, *places, inputs, *window]
        return x.reshape(len(self.weight), x.shape[1] * math.prod(places), -1), places


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product:
    """The matrix product of two activations in int32, and to the output's grid.

    *turned* says that the second comes as [..., columns, inner]. Proven as for `Linear`.
    """

    turned: bool
    dyadic: Dyadic
    dtype: torch.dtype

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The output's integers."""
        right = b.to(torch.int32)
        sums = a.to(torch.int32) @ (right.transpose(-2, -1) if self.turned else right)
        return self.dyadic(sums).to(self.dtype)
