"""Strides, paddings and groups of a convolution, from the arguments of its operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from torch.fx import Node

from mpsearch.graph.operations import argument


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """One entry for each dimension; *padding* are zeros before and after it."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, node: Node, kernel: tuple[int, ...]) -> Self:
        """That of the convolution at *node*, whose windows have the size *kernel*."""
        stride, dilation = (_each(argument(node, index), len(kernel), 1) for index in (3, 5))
        groups = argument(node, 6)
        return cls(kernel=kernel, stride=stride, dilation=dilation,
                   padding=_padding(argument(node, 4), kernel, dilation),
                   groups=1 if groups is None else int(groups))


def _each(given: Any, dims: int, usual: int) -> tuple[int, ...]:
    values = usual if given is None else given
    if isinstance(values, int):
        return (values,) * dims
    return tuple(values) * (dims if len(values) == 1 else 1)


def _padding(given: Any, kernel: tuple[int, ...],
             dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    if not isinstance(given, str):
        return tuple((size, size) for size in _each(given, len(kernel), 0))
    if given == "valid":
        return ((0, 0),) * len(kernel)
    spans = [gap * (size - 1) for size, gap in zip(kernel, dilation, strict=True)]
    return tuple((span // 2, span - span // 2) for span in spans)
