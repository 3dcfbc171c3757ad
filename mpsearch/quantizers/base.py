"""What a quantizer is: one definition that simulated and integer execution both follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.core.types import StaticRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What a format needs beside the codes: float32 scales and int32 zero points, both [S, 1].

    *more* are the format's own tables by name, in the type in which they are stored; each has as
    many numbers as the format says (`Format.tables`).
    """

    scale: Tensor
    zero_point: Tensor
    more: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def without_zero(cls, scale: Tensor, more: Mapping[str, Tensor] | None = None) -> Self:
        """Those of a format that has no zero points."""
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        return cls(scale=scale, zero_point=zeros, more=more or {})


F_contra = TypeVar("F_contra", bound=Format, contravariant=True)


class Quantizer(Protocol[F_contra]):
    """Turns real numbers into integer codes and back, for formats of one kind.

    *axes* are the dimensions that the layer sums over, and given for activations; None means all
    but the first, which is right for a weight. See `mpsearch.quantizers.layout` for which elements
    then share a scale.
    """

    def fit(
        self, x: Tensor, formats: Sequence[F_contra], axes: Sequence[int] | None = None
    ) -> list[Params]:
        """Parameters of *x* in each of *formats*, in one visit to the tensor.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        ...

    def encode(
        self, x: Tensor, params: Params, fmt: F_contra, axes: Sequence[int] | None = None
    ) -> Tensor:
        """Codes of *x*, int32, each within ``fmt.code_range``.

        They are of its shape if every number has a code of its own, else [rows, codes a row] as
        `Format.codes` counts them.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        ...

    def decode(
        self,
        codes: Tensor,
        params: Params,
        fmt: F_contra,
        axes: Sequence[int] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        shape: Sequence[int] | None = None,
    ) -> Tensor:
        """The numbers that *codes* stand for; computed in float32.

        *shape* is that of the tensor, where it is not that of the codes.
        """
        ...


@runtime_checkable
class Direct(Protocol[F_contra]):
    """What a quantizer may offer beside: the round trip without codes, where that is faster."""

    def round_trip(
        self, x: Tensor, params: Params, fmt: F_contra, axes: Sequence[int] | None = None
    ) -> Tensor:
        """What ``decode(encode(x))`` returns, bit for bit, in the type of *x*."""
        ...


def fake_quantize(
    quantizer: Quantizer[Any],
    x: Tensor,
    params: Params,
    fmt: Format,
    axes: Sequence[int] | None = None,
) -> Tensor:
    """*x* as it reads after a round trip through *fmt*, in its own dtype.

    Gradients pass straight through (Bengio et al., arXiv:1308.3432).
    """
    with torch.no_grad():
        y = _round_trip(quantizer, x, params, fmt, axes)
    if torch.is_grad_enabled() and x.requires_grad:
        passed: Tensor = _StraightThrough.apply(x, y)
        return passed
    return y


def _round_trip(quantizer: Quantizer[Any], x: Tensor, params: Params, fmt: Format,
                axes: Sequence[int] | None) -> Tensor:
    if isinstance(quantizer, Direct):
        return quantizer.round_trip(x, params, fmt, axes)
    codes = quantizer.encode(x, params, fmt, axes)
    return quantizer.decode(codes, params, fmt, axes, dtype=x.dtype, shape=x.shape)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        del ctx, x
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        del ctx
        return gradients[0], None


def to_static(params: Params) -> StaticRange:
    """The one scale and zero point of a statically quantized activation, as plain data.

    Raises:
        BadInput: there is more than one scale.
    """
    if params.scale.numel() != 1:
        raise BadInput(
            f"a static range has one scale, not {params.scale.numel()}: "
            "quantize static activations with granularity 'tensor'"
        )
    return StaticRange(
        scale=float(params.scale.item()), zero_point=int(params.zero_point.item()),
        more={name: tuple(map(float, table.flatten().tolist()))
              for name, table in params.more.items()},
    )


def from_static(static: StaticRange, device: torch.device | str | None = None) -> Params:
    """The parameters that *static* stands for: the exact inverse of `to_static`.

    Tables come back as float32, which holds the numbers of every stored type but 64-bit ones.
    """
    return Params(
        scale=torch.full((1, 1), static.scale, dtype=torch.float32, device=device),
        zero_point=torch.full((1, 1), static.zero_point, dtype=torch.int32, device=device),
        more={name: torch.tensor(table, dtype=torch.float32, device=device)
              for name, table in static.more.items()},
    )
