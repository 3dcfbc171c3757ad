"""Operators of levels: numbers to digits of the nearest ones, and codes of weights to digits."""

# ruff: noqa: PLR0917 - the arguments are those of the operators

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.library import Library, register_fake

from mpsearch.core.errors import BadInput
from mpsearch.kernels import native, reference
from mpsearch.kernels.library import kernels
from mpsearch.kernels.ops import not_finite
from mpsearch.kernels.packed import decoded

_LEVELS = ("level_digits(Tensor x, Tensor scale, float shift, Tensor bounds, Tensor digits,"
           " str where) -> Tensor")
_STREAM = "decode_stream(Tensor stream, Tensor table) -> Tensor"


def _level_digits(x: Tensor, scale: Tensor, shift: float, bounds: Tensor, digits: Tensor,
                  where: str) -> Tensor:
    own = kernels()
    try:
        if own is None:
            return reference.level_digits(x, scale, shift, bounds, digits)
        return native.level_digits(own, x, scale, shift, bounds=bounds, digits=digits)
    except native.NotFinite:
        raise BadInput(not_finite(where)) from None


def _decode_stream(stream: Tensor, table: Tensor) -> Tensor:
    own = kernels()
    return decoded(stream, table) if own is None else native.decode_stream(own, stream, table)


def _digits_shape(x: Tensor, scale: Tensor, shift: float, bounds: Tensor, digits: Tensor,
                  where: str) -> Tensor:
    del scale, shift, bounds, where
    return x.new_empty((digits.shape[0], *x.shape), dtype=digits.dtype)


def _stream_shape(stream: Tensor, table: Tensor) -> Tensor:
    bits = len(table).bit_length() - 1
    return stream.new_empty(stream.shape[0] // bits * 8)


def _registered() -> Any:
    """The operators; they exist as long as what this returns."""
    library: Any = Library("mpsearch", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema, compute, shape in ((_LEVELS, _level_digits, _digits_shape),
                                   (_STREAM, _decode_stream, _stream_shape)):
        library.define(schema)
        name = schema.partition("(")[0]
        library.impl(name, compute, "CPU")
        register_fake(f"mpsearch::{name}", shape, lib=library)
    return library


_LIBRARY = _registered()
