"""Activations as the codes that integer products take."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from mpsearch.backends.integer.blocks import Blocks
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format, IntFormat
from mpsearch.core.types import StaticRange
from mpsearch.kernels import Activation, Ladder, Numbers, nearest, quantize
from mpsearch.kernels.coding import Coding
from mpsearch.quantizers.base import Params, from_static
from mpsearch.quantizers.of_kind import quantizer_of

Operand = Activation | Numbers | Blocks
Coder = Callable[[Tensor], Operand]
"""Makes codes of one operand of a layer, [..., K]."""
_BYTE = 8


def coder_of(fmt: Format, static: StaticRange | None, where: str) -> Coder:
    """By a calibrated range, or rescaled for every row; *where* names the operand for people."""
    if isinstance(fmt, IntFormat):
        return IntegerCoder(fmt=fmt, static=static, where=where)
    return LevelCoder(fmt=fmt, static=static, where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerCoder:
    """Integers of up to 16 bits."""

    fmt: IntFormat
    static: StaticRange | None
    where: str

    @property
    def coding(self) -> Coding | None:
        """The same for kernels that code on the way; None for codes of more than 8 bits."""
        if self.fmt.bits > _BYTE:
            return None
        first, last = self.fmt.code_range
        if self.static is None:
            return Coding(first=first, last=last, symmetric=self.fmt.symmetric, where=self.where)
        return Coding(first=first, last=last, symmetric=self.fmt.symmetric, where=self.where,
                      scale=self.static.scale, zero=int(self.static.zero_point))

    def __call__(self, x: Tensor) -> Activation:
        """The codes of *x* [..., K].

        Raises:
            BadInput: a number is not finite.
        """
        first, last = self.fmt.code_range
        if self.static is None:
            return quantize(x, first, last, symmetric=self.fmt.symmetric, where=self.where)
        return quantize(x, first, last, scale=_number(self.static.scale, x.device),
                        zero=self.static.zero_point, where=self.where)


@dataclass(frozen=True, kw_only=True)
class Once:
    """A *coding* that several layers share: the last numbers are not coded again."""

    coding: Coding
    _last: list[tuple[weakref.ref[Tensor], Activation]] = field(default_factory=list)

    def __call__(self, x: Tensor) -> Activation:
        """The codes of *x* [..., K].

        Raises:
            BadInput: a number is not finite.
        """
        for known, codes in tuple(self._last):
            if known() is x:
                return codes
        made = self.coding(x)
        self._last[:] = [(weakref.ref(x), made)]
        return made


@lru_cache(maxsize=4096)
def _number(scale: float, device: torch.device) -> Tensor:
    """The same tensor at every call: making one takes longer than quantizing a few numbers."""
    return torch.tensor([scale], dtype=torch.float32, device=device)


@dataclass(frozen=True, kw_only=True)
class LevelCoder:
    """Levels of a table: powers, small floats, codebooks."""

    fmt: Format
    static: StaticRange | None
    where: str

    def __call__(self, x: Tensor) -> Operand:
        """The digits of *x* [..., K].

        Raises:
            BadInput: a number is not finite.
        """
        rows = x.detach().float().reshape(-1, x.shape[-1])
        if self.static is not None:
            found = nearest(rows, self._ladder, self._params.scale, self._shift, self.where)
            return found.viewed(x.shape, found.scale).plain
        if self.fmt.group_size is not None:
            return Blocks.of(rows, self.fmt.group_size, self._ladder, self._scales(rows),
                             self.where).viewed(x.shape)
        found = nearest(rows, self._ladder, self._scales(rows), where=self.where)
        return found.viewed(x.shape, found.scale).plain

    @cached_property
    def _params(self) -> Params:
        if self.static is not None:
            return from_static(self.static)
        return Params.without_zero(torch.ones(1, 1))

    @cached_property
    def _ladder(self) -> Ladder:
        stairs = quantizer_of(self.fmt).stairs(self._params, self.fmt)  # type: ignore[attr-defined]
        return Ladder.of(stairs.bounds, stairs.strands)

    @cached_property
    def _shift(self) -> float:
        return float(self._params.more["shift"]) if "shift" in self._params.more else 0.0

    def _scales(self, rows: Tensor) -> Tensor:
        """Scales found at run time, one for each slice of *rows*."""
        if not rows.numel():
            return torch.ones(1)
        try:
            return quantizer_of(self.fmt).fit(rows, [self.fmt], (-1,))[0].scale.flatten()
        except BadInput as error:
            raise BadInput(f"{self.where}: {error}") from None
