"""Convolutions of activations and packed filters, in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from mpsearch.backends.integer.blocks import Blocks
from mpsearch.backends.integer.codes import Coder
from mpsearch.backends.integer.filters import Filters
from mpsearch.backends.integer.rules import require
from mpsearch.graph.sites import Site
from mpsearch.kernels import Activation, Numbers, any_conv2d

_TARGETS = frozenset({"aten.conv1d.default", "aten.conv2d.default"})
_LINE = "aten.conv1d.default"
_PLANES, _GROUPS = 4, 6
_DEFAULTS = (None, (1,), (0,), (1,), 1)  # bias, stride, padding, dilation, groups


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntConv:
    """A convolution in one or two dimensions; a line is an image of height 1."""

    filters: Filters
    coder: Coder
    line: bool

    @classmethod
    def of(cls, site: Site, filters: Filters, coder: Coder) -> Self:
        """For the one operation of *site*.

        Raises:
            Unsupported: a convolution of another form.
        """
        return cls(filters=filters, coder=coder, line=require(site, _TARGETS) == _LINE)

    def __call__(self, operands: tuple[Any, ...]) -> Tensor:
        """The operation's output, in the type of its input."""
        x: Tensor = operands[0]
        if not x.shape[0]:  # no image says what its scale is
            return self((x.new_zeros((1, *x.shape[1:])), *operands[1:]))[:0]
        more = (*operands[2:], *_DEFAULTS[len(operands) - 2:])
        bias: Tensor | None = more[0]
        window = {name: self._pair(each, rest) for name, each, rest in zip(
            ("stride", "padding", "dilation"), more[1:4], (1, 0, 1), strict=True)}
        images = x.unsqueeze(-2) if self.line else x
        images = images if images.dim() == _PLANES else images[None]
        outs = [any_conv2d(each, self.filters.digits, None if bias is None else bias.float(),
                           scale=self.filters.scale, **window) for each in self._codes(images)]
        out = torch.cat(outs) if len(outs) > 1 else outs[0]
        out = out.squeeze(-2) if self.line else out
        # Sums that follow depend on the order in memory: it is that of the float operation.
        return (out if x.dim() == out.dim() else out[0]).to(x.dtype).contiguous()

    def _pair(self, given: Sequence[int], rest: int) -> tuple[int, int]:
        """For height and width; *rest* is what stands for the height of a line."""
        if self.line:
            return rest, given[0]
        return given[0], given[-1]  # one number is that of both

    def _codes(self, images: Tensor) -> list[Activation | Numbers]:
        """The codes of all *images*, or of each where each has a scale of its own."""
        found = self.coder(images.flatten(1))
        assert not isinstance(found, Blocks)  # noqa: S101 - it was checked
        if found.scale.numel() == 1:
            return [_viewed(found, images.shape)]
        one = (1, *images.shape[1:])
        return [_viewed(_sample(found, i), one) for i in range(len(images))]


def _sample(x: Activation | Numbers, i: int) -> Activation | Numbers:
    """The numbers of sample *i*, a row of *x*."""
    if isinstance(x, Activation):
        own = slice(i, i + 1)
        return Activation(x.codes[own], x.scale[own], x.zero[own] if len(x.zero) > 1 else x.zero)
    return x.row(i)


def _viewed(x: Activation | Numbers, shape: Sequence[int]) -> Activation | Numbers:
    if isinstance(x, Activation):
        return x._replace(codes=x.codes.view(shape))
    return x.images(shape)


def groups_of(site: Site) -> int:
    """Groups of channels of the convolution of *site*."""
    operands = site.node.args
    groups = operands[_GROUPS] if len(operands) > _GROUPS else 1
    assert isinstance(groups, int)  # noqa: S101 - its schema says so
    return groups
