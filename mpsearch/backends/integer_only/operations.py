"""The plain operations of an integer program: what moves, joins, scales and clips integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from mpsearch.backends.integer_only.dyadic import Dyadic


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Same:
    """The value itself: its scale or its name changes, not its integers."""

    def __call__(self, codes: Tensor) -> Tensor:
        """The same integers."""
        return codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alone:
    """The value as the first and only one of several."""

    def __call__(self, codes: Tensor) -> tuple[Tensor]:
        """The same integers in a tuple."""
        return (codes,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constant:
    """Integers that are stored: a position embedding, a class token, indices."""

    codes: Tensor

    def __call__(self) -> Tensor:
        """The stored integers."""
        return self.codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requantize:
    """From one grid to another: multiplied, rounded, and clipped where *limits* say so."""

    dyadic: Dyadic
    limits: tuple[int, int] | None
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """The integers on the other grid."""
        wide = self.dyadic(codes)
        if self.limits is not None:
            wide = wide.clamp_(*self.limits)
        return wide.to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine:
    """Multiplied and shifted by stored numbers, one for all or one for each place."""

    dyadic: Dyadic
    offset: Tensor
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """``codes * factor + offset`` on the grid that the offset is on."""
        return self.dyadic(codes).add_(self.offset).to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sum:
    """Two tensors of one scale added."""

    dtype: torch.dtype

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """The sums."""
        return a.to(self.dtype) + b.to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mean:
    """The mean over *dims*: an exact sum, and one multiplication by a fraction."""

    dims: tuple[int, ...]
    keep: bool
    dyadic: Dyadic
    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """The means."""
        total = codes.to(torch.int64).sum(self.dims, keepdim=self.keep)
        return self.dyadic(total).to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positive:
    """What is below 0 becomes 0 (ReLU)."""

    dtype: torch.dtype

    def __call__(self, codes: Tensor) -> Tensor:
        """The clipped integers."""
        return codes.clamp(min=0).to(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """Tensors of one scale in a row, along an old dimension (``cat``)."""

    dim: int
    dtype: torch.dtype

    def __call__(self, *parts: Tensor) -> Tensor:
        """The joined integers."""
        return torch.cat([part.to(self.dtype) for part in parts], self.dim)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup:
    """Rows of a stored table."""

    table: Tensor

    def __call__(self, index: Tensor) -> Tensor:
        """The rows that *index* names."""
        return self.table[index]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Again:
    """An operation of the captured graph that moves integers, or computes sizes, as it is."""

    target: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    nodes: tuple[Node, ...]

    def __call__(self, *values: Any) -> Any:
        """The operation on *values*, which stand for its nodes."""
        known = dict(zip(self.nodes, values, strict=True))
        return self.target(*map_arg(self.args, known.__getitem__),
                           **map_arg(self.kwargs, known.__getitem__))
