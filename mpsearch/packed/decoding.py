"""Stored tensors back to codes and parameters, and to the numbers they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.core.types import Policy, Scheme
from mpsearch.graph.orientation import changed_rows
from mpsearch.packed.contents import weight_format
from mpsearch.packed.manifest import Stored
from mpsearch.packed.reading import Packed
from mpsearch.packed.types import TORCH
from mpsearch.quantizers.base import Params, fake_quantize, from_static
from mpsearch.quantizers.bitstream import unpack
from mpsearch.quantizers.code_shape import code_shape
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.quantizers.packing import unpacked

_BYTE = 8
_UNDECODABLE = (RuntimeError, LookupError, ValueError, ArithmeticError, TypeError)
"""What decoding raises on numbers that no encoding makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A packed weight: its format, its parameters, and its codes whenever they are asked for."""

    stored: Stored
    fmt: Format
    params: Params
    codes: Callable[[], Tensor]

    def dense(self) -> Tensor:
        """What it stands for, in shape and type of the model's parameter."""
        whole = torch.empty(self.stored.shape, dtype=TORCH[self.stored.dtype])
        with torch.no_grad():
            return changed_rows(whole, lambda rows: quantizer_of(self.fmt).decode(
                self.codes(), self.params, self.fmt, dtype=rows.dtype, shape=rows.shape),
                self.stored.summed)


def weight_of(packed: Packed, name: str) -> Weight:
    """The packed weight *name*, checked: everything in it can be decoded.

    Raises:
        BadInput: a scale, zero point, code or table that its format does not have, or numbers
            that are not finite.
    """
    stored = packed.manifest.weights[name]
    fmt = weight_format(packed.policy, name, stored)
    assert fmt is not None  # noqa: S101 - reading the file checked it
    parts = dict(packed.weights[name])
    try:
        codes, params = unpacked(parts, fmt, stored.rows)
        _check(codes, params, parts["weight_packed"], fmt, stored)
        made = Weight(stored=stored, fmt=fmt, params=params, codes=lambda: unpack(
            parts["weight_packed"], fmt, code_shape(fmt, stored.rows)))
        _check_finite(made.dense())
    except BadInput as error:
        raise BadInput(f"{packed.path}: the weight '{name}' is damaged: {error}") from error
    except _UNDECODABLE as error:
        reason = str(error).strip().splitlines()[:1]
        raise BadInput(f"{packed.path}: the weight '{name}' is damaged: it cannot be decoded "
                       f"({' '.join(reason)[:80]})") from error
    return made


def check_ranges(policy: Policy, where: str) -> None:
    """Try every calibrated range of *policy* on a few numbers.

    Raises:
        BadInput: one of them does not fit its format.
    """
    for layer, ranges in policy.activations.items():
        scheme = policy.layers.get(layer, Scheme())
        for operand, fmt in (("input", scheme.input), ("other", scheme.other)):
            if fmt is None or operand not in ranges or not fmt.calibrated:
                continue
            try:
                found = fake_quantize(quantizer_of(fmt), torch.linspace(-1, 1, 9),
                                      from_static(ranges[operand]), fmt)
                _check_finite(found)
            except (*_UNDECODABLE, BadInput) as error:
                raise BadInput(f"the policy in {where} is damaged: the range of the {operand} of "
                               f"layer '{layer}' does not fit {fmt}") from error


def _check_finite(numbers: Tensor) -> None:
    if not bool(numbers.isfinite().all()):
        raise BadInput("a code stands for no number, or a number is not finite")


def _check(codes: Tensor, params: Params, stream: Tensor, fmt: Format, stored: Stored) -> None:
    scale = params.scale
    if not bool((scale.isfinite() & (scale >= 0)).all()):
        raise BadInput("a scale is not a finite number from 0 on")
    first, last = fmt.code_range
    for numbers, what in ((codes, "code"), *(
            ((params.zero_point, "zero point"),) if fmt.zero_point_bits else ())):
        if not bool(((numbers >= first) & (numbers <= last)).all()):
            raise BadInput(f"a {what} lies outside the range from {first} to {last} of {fmt}")
    used = fmt.codes(stored.rows)[1] * fmt.code_bits % _BYTE
    if used and bool((stream[:, -1] >> used).any()):
        raise BadInput("bits behind the last code of a row are not 0")
    columns = params.more.get("columns")
    if columns is not None and bool((columns.long().diff() <= 0).any()):
        raise BadInput("outlier columns are not in rising order")
