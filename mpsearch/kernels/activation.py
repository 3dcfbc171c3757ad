"""Activations as integer codes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.kernels import native, ops
from mpsearch.kernels.library import Kernels

_NARROW = 1 << 8


class Activation(NamedTuple):
    """Numbers (codes - zero) * scale.

    *codes* [..., K] are int8, or int16 for formats of 9 to 16 bits; *scale* (float32) and *zero*
    (int32) hold one number, or one for each row of codes. Codes and zero points of a format whose
    largest code does not fit are both lower by 128 (int8) or 32768 (int16) than the format says.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor

    def rows(self) -> Tensor:
        """Codes as [M, K]."""
        return self.codes.reshape(-1, self.codes.shape[-1])


def quantize(x: Tensor, first: int, last: int, *, scale: Tensor | None = None,
             zero: Tensor | int = 0, symmetric: bool = True, where: str = "") -> Activation:
    """Nearest codes of *x* [..., K], ties to even, within *first* to *last* (a ``code_range``).

    With *scale* (float32, one number) and *zero* (as the format counts) they are those of every
    row. Without, each row gets the smallest scale that clips nothing, and a zero point unless
    *symmetric*. Scales and codes are those of `mpsearch.quantizers.uniform.Uniform`, to the bit.

    Raises:
        BadInput: a number is NaN or infinite; *where* says whose they are. Or no *code_range* of
            at most 16 bits, or no rows.
    """
    _check(x, first, last, symmetric=symmetric and scale is None)
    if (kernels := ops.direct(x)) is not None and last - first < _NARROW:
        return _at_once(kernels, x, (first, last), scale, zero, symmetric=symmetric, where=where)
    rows = x.detach().float().reshape(x.shape[:-1].numel(), x.shape[-1])
    own = None if scale is None else scale.detach().to(rows.device, torch.float32).reshape(1)
    lower = _lower(zero, first, last).to(rows.device)
    if last - first >= _NARROW:
        found = _wide(rows, (first, last), own, lower, symmetric=symmetric, where=where)
    elif own is None:
        found = torch.ops.mpsearch.quantize_rows_dynamic(rows, first, last, symmetric, where)
    else:
        codes = torch.ops.mpsearch.quantize_rows(rows, own, lower, first, last, where)
        found = codes, own, lower
    return Activation(found[0].view(x.shape), *found[1:])


def _check(x: Tensor, first: int, last: int, *, symmetric: bool) -> None:
    if not x.dim():
        raise BadInput("a single number has no rows to quantize")
    if last - first >= _NARROW ** 2:
        raise BadInput(f"codes from {first} to {last} have more than 16 bits")
    half = (_NARROW if last - first < _NARROW else _NARROW ** 2) // 2
    signed = -half <= first < 0 < last < half
    if not signed and (symmetric or first != 0 or last < 1):
        raise BadInput(f"codes from {first} to {last} are those of no "
                       f"{'symmetric ' if symmetric else ''}format: see code_range")


def _at_once(kernels: Kernels, x: Tensor, code_range: tuple[int, int], scale: Tensor | None,
             zero: Tensor | int, *, symmetric: bool, where: str) -> Activation:
    own = None if scale is None else scale.detach().float().reshape(1)
    lower = (_known_lower(zero, *code_range) if isinstance(zero, int)
             else _lower(zero, *code_range))
    try:
        return Activation(*native.quantize(kernels, x.detach().float(), *code_range, scale=own,
                                           zero=lower, symmetric=symmetric))
    except native.NotFinite:
        raise BadInput(ops.not_finite(where)) from None


def _wide(rows: Tensor, code_range: tuple[int, int], scale: Tensor | None, zero: Tensor, *,
          symmetric: bool, where: str) -> tuple[Tensor, Tensor, Tensor]:
    first, last = code_range
    try:
        return ops.plain(rows).quantize(  # type: ignore[no-any-return]
            rows, first, last, scale=scale, zero=zero, symmetric=symmetric)
    except native.NotFinite:
        raise BadInput(ops.not_finite(where)) from None


@lru_cache(maxsize=1024)
def _known_lower(zero: int, first: int, last: int) -> Tensor:
    return _lower(zero, first, last)


def _lower(zero: Tensor | int, first: int, last: int) -> Tensor:
    """A format's zero point as one number of the codes that are kept."""
    half = (_NARROW if last - first < _NARROW else _NARROW ** 2) // 2
    return torch.as_tensor(zero, dtype=torch.int32).reshape(1) - (half if last >= half else 0)
