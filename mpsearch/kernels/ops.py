"""The kernels as torch operators of the namespace ``mpsearch``, with shapes for the compiler.

Operators take and return dense tensors on the CPU; `mpsearch.kernels` is what people call.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.library import Library, register_fake

from mpsearch.core.errors import BadInput
from mpsearch.kernels import native, reference
from mpsearch.kernels.library import kernels
from mpsearch.kernels.packed import PackedWeight

_LIBRARY = Library("mpsearch", "FRAGMENT")
_WEIGHT = "Tensor stream, Tensor w_scale, Tensor w_zero, Tensor w_sums, int bits, int outputs, int group"
_SCHEMAS = (
    f"int_linear(Tensor codes, Tensor scale, Tensor zero, {_WEIGHT}, Tensor? bias) -> Tensor",
    f"int_linear_sums(Tensor codes, Tensor zero, {_WEIGHT}) -> Tensor",
    "quantize_rows(Tensor x, Tensor scale, Tensor zero, int first, int last, str where) -> Tensor",
    "quantize_rows_dynamic(Tensor x, int first, int last, bool symmetric, str where)"
    " -> (Tensor, Tensor, Tensor)",
    "int_batched(Tensor a, Tensor a_scale, Tensor a_zero, Tensor b, Tensor b_scale, Tensor b_zero)"
    " -> Tensor",
    "int_batched_sums(Tensor a, Tensor a_zero, Tensor b, Tensor b_zero) -> Tensor",
    "int_depthwise_sums(Tensor codes, Tensor filters, int zero, int[] window) -> Tensor",
)
for _schema in _SCHEMAS:
    _LIBRARY.define(_schema)


def _weight(stream: Tensor, w_scale: Tensor, w_zero: Tensor, w_sums: Tensor, bits: int,
            outputs: int, group: int, inputs: int) -> PackedWeight:
    return PackedWeight(stream=stream, scale=w_scale, zero=w_zero, sums=w_sums, bits=bits,
                        outputs=outputs, inputs=inputs, group=group)


def _int_linear(codes: Tensor, scale: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor,
                w_zero: Tensor, w_sums: Tensor, bits: int, outputs: int, group: int,
                bias: Tensor | None) -> Tensor:
    own = kernels()
    if own is None:
        return reference.linear(codes, scale, zero, _weight(
            stream, w_scale, w_zero, w_sums, bits, outputs, group, codes.shape[1]), bias)
    return native.linear(own, codes, zero, stream, (w_scale, w_zero, w_sums), bits=bits,
                         outputs=outputs, group=group, scale=scale, bias=bias)


def _int_linear_sums(codes: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor, w_zero: Tensor,
                     w_sums: Tensor, bits: int, outputs: int, group: int) -> Tensor:
    own = kernels()
    if own is None:
        return reference.linear_sums(codes, zero, _weight(
            stream, w_scale, w_zero, w_sums, bits, outputs, group, codes.shape[1]))
    return native.linear(own, codes, zero, stream, (w_scale, w_zero, w_sums), bits=bits,
                         outputs=outputs, group=group)


def _quantized(x: Tensor, first: int, last: int, where: str, scale: Tensor | None = None,
               zero: Tensor | None = None, *, symmetric: bool = True
               ) -> tuple[Tensor, Tensor, Tensor]:
    own = kernels()
    try:
        if own is None:
            return reference.quantize(x, first, last, scale=scale, zero=zero, symmetric=symmetric)
        return native.quantize(own, x, first, last, scale=scale, zero=zero, symmetric=symmetric)
    except native.NotFinite:
        raise BadInput(f"cannot quantize {where or 'a tensor'}: it has values that are not finite "
                       "(NaN or infinite): check the weights and the data that led to it"
                       ) from None


def _quantize_rows(x: Tensor, scale: Tensor, zero: Tensor, first: int, last: int,
                   where: str) -> Tensor:
    return _quantized(x, first, last, where, scale, zero)[0]


def _quantize_rows_dynamic(x: Tensor, first: int, last: int, symmetric: bool, where: str
                           ) -> tuple[Tensor, Tensor, Tensor]:
    return _quantized(x, first, last, where, symmetric=symmetric)


def _int_batched_sums(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor) -> Tensor:
    own = kernels()
    if own is None:
        return reference.batched_sums(a, a_zero, b, b_zero)
    return native.batched(own, a, a_zero, b, b_zero)


def _int_batched(a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor,
                 b_zero: Tensor) -> Tensor:
    own = kernels()
    if own is None:
        sums = reference.batched_sums(a, a_zero, b, b_zero)
        return sums.float() * b_scale[:, None, :] * a_scale[..., None]
    return native.batched(own, a, a_zero, b, b_zero, (a_scale, b_scale))


def _int_depthwise_sums(codes: Tensor, filters: Tensor, zero: int, window: list[int]) -> Tensor:
    own = kernels()
    if own is None:
        return reference.depthwise(codes, filters, zero, window)
    return native.depthwise(own, codes, filters, zero, window,
                            out_size(codes.shape[2:], filters.shape[1:], window))


for _name, _function in (
        ("int_linear", _int_linear), ("int_linear_sums", _int_linear_sums),
        ("quantize_rows", _quantize_rows), ("quantize_rows_dynamic", _quantize_rows_dynamic),
        ("int_batched", _int_batched), ("int_batched_sums", _int_batched_sums),
        ("int_depthwise_sums", _int_depthwise_sums)):
    _LIBRARY.impl(_name, _function, "CPU")


def out_size(size: torch.Size, kernel: torch.Size, window: list[int]) -> tuple[int, int]:
    """Height and width of a convolution's output; *window* is stride, padding, dilation."""
    height, width = (
        (size[i] + 2 * window[2 + i] - window[4 + i] * (kernel[i] - 1) - 1) // window[i] + 1
        for i in range(2))
    return height, width


@register_fake("mpsearch::int_linear")
def _(codes: Tensor, scale: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor, w_zero: Tensor,
      w_sums: Tensor, bits: int, outputs: int, group: int, bias: Tensor | None) -> Tensor:
    return codes.new_empty((codes.shape[0], outputs), dtype=torch.float32)


@register_fake("mpsearch::int_linear_sums")
def _(codes: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor, w_zero: Tensor,
      w_sums: Tensor, bits: int, outputs: int, group: int) -> Tensor:
    return codes.new_empty((codes.shape[0], outputs), dtype=torch.int32)


@register_fake("mpsearch::quantize_rows")
def _(x: Tensor, scale: Tensor, zero: Tensor, first: int, last: int, where: str) -> Tensor:
    return torch.empty_like(x, dtype=torch.int8, memory_format=torch.contiguous_format)


@register_fake("mpsearch::quantize_rows_dynamic")
def _(x: Tensor, first: int, last: int, symmetric: bool, where: str
      ) -> tuple[Tensor, Tensor, Tensor]:
    codes = torch.empty_like(x, dtype=torch.int8, memory_format=torch.contiguous_format)
    rows = (x.shape[0],)
    return codes, x.new_empty(rows), x.new_empty(rows, dtype=torch.int32)


@register_fake("mpsearch::int_batched")
def _(a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor,
      b_zero: Tensor) -> Tensor:
    return a.new_empty((*a.shape[:2], b.shape[1]), dtype=torch.float32)


@register_fake("mpsearch::int_batched_sums")
def _(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor) -> Tensor:
    return a.new_empty((*a.shape[:2], b.shape[1]), dtype=torch.int32)


@register_fake("mpsearch::int_depthwise_sums")
def _(codes: Tensor, filters: Tensor, zero: int, window: list[int]) -> Tensor:
    size = out_size(codes.shape[2:], filters.shape[1:], window)
    return codes.new_empty((*codes.shape[:2], *size), dtype=torch.int32)
