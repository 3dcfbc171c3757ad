"""Activations whose runs of inputs have scales of their own, as small floats in blocks have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from torch import Tensor
from torch.nn.functional import pad

from mpsearch.kernels import Activation, Ladder, Numbers, nearest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """*numbers* [..., K] of which every run of *size* has its own *scales* [rows, runs]."""

    numbers: Numbers
    scales: Tensor
    size: int

    @classmethod
    def of(cls, rows: Tensor, size: int, ladder: Ladder, scales: Tensor, where: str) -> Self:
        """*rows* [M, K] over *scales*, M times those of a row in their order.

        Raises:
            BadInput: a number is not finite; *where* says whose.
        """
        count, length = rows.shape
        size = min(size, length)
        runs = -(-length // size)
        cut = pad(rows, (0, runs * size - length)).view(-1, size)
        found = nearest(cut, ladder, scales if count else scales.new_ones(0), where=where)
        numbers = found.viewed((count, runs * size), found.scale).along(
            slice(0, length), found.scale)
        return cls(numbers=numbers, scales=found.scale.view(count, runs), size=size)

    def viewed(self, shape: Sequence[int]) -> Self:
        """The same numbers in another *shape* [..., K]."""
        return replace(self, numbers=self.numbers.viewed(shape, self.numbers.scale))

    @property
    def codes(self) -> Tensor:
        """The codes of the first plane."""
        return self.numbers.codes

    def along(self, run: slice) -> Activation | Numbers:
        """The numbers of a *run* of inputs, which lies within one block."""
        scale = self.scales[:, run.start // self.size].contiguous()
        return self.numbers.along(run, scale).plain


def along(x: Activation | Numbers | Blocks, run: slice) -> Activation | Numbers:
    """The numbers of a *run* of inputs."""
    if isinstance(x, Activation):
        return x._replace(codes=x.codes[..., run])
    return x.along(run) if isinstance(x, Blocks) else x.along(run, x.scale)


def edges(length: int, *sizes: int | None) -> list[slice]:
    """Runs of a sum of *length* terms, cut wherever runs of one of the *sizes* end."""
    cuts = {0, length, *(at for size in sizes if size for at in range(size, length, size))}
    ends = sorted(cuts)
    return [slice(*pair) for pair in pairwise(ends)]


def added(parts: Iterator[Tensor]) -> Tensor:
    """The sum of *parts*, at least one, in float64 and in their order, as float32."""
    total = next(parts).double()
    for part in parts:
        total += part
    return total.float()
