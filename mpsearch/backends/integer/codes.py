"""Activations as the codes that integer products take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import StaticRange
from mpsearch.kernels import ops as _  # noqa: F401 - registers the operators

_SIGNED = 128
"""Codes from 0 to 255 are stored as signed bytes, this much lower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """int8 *codes* [R, K] of the runs that a layer sums over, a *scale* and a *zero* for each [R].

    A number is (code - zero) * scale. Where all rows have the same, there is one.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coder:
    """Makes codes of one operand of a layer, by a calibrated range or rescaled for every row."""

    fmt: IntFormat
    where: str
    scale: Tensor | None = None
    zero: Tensor | None = None

    @classmethod
    def of(cls, fmt: IntFormat, static: StaticRange | None, where: str) -> Self:
        """*static* is the calibrated range, *where* names the operand for people."""
        if static is None:
            return cls(fmt=fmt, where=where)
        offset = _SIGNED if fmt.code_range[1] >= _SIGNED else 0
        return cls(fmt=fmt, where=where, scale=torch.tensor([static.scale]),
                   zero=torch.tensor([static.zero_point - offset], dtype=torch.int32))

    def __call__(self, rows: Tensor) -> Codes:
        """The codes of *rows* [R, K], float32.

        Raises:
            BadInput: a number is not finite.
        """
        first, last = self.fmt.code_range
        if self.scale is None or self.zero is None:
            codes, scale, zero = torch.ops.mpsearch.quantize_rows_dynamic(
                rows, first, last, self.fmt.symmetric, self.where)
            return Codes(codes=codes, scale=scale, zero=zero)
        codes = torch.ops.mpsearch.quantize_rows(
            rows, self.scale, self.zero, first, last, self.where)
        return Codes(codes=codes, scale=self.scale, zero=self.zero)
