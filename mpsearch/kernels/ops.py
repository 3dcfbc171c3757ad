"""The kernels as torch operators of the namespace ``mpsearch``, with shapes for the compiler.

Operators take and return dense tensors of one CPU or GPU, where the weight's tensors lie in that
device's layout; `mpsearch.kernels` is what people call.
"""

# ruff: noqa: PLR0917 - the arguments are those of the operators

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import Library, register_fake

from mpsearch.core.errors import BadInput
from mpsearch.kernels import gpu, native, reference, shapes
from mpsearch.kernels.library import Kernels, kernels
from mpsearch.kernels.packed import PackedWeight

_WEIGHT = ("Tensor stream, Tensor w_scale, Tensor w_zero, Tensor w_sums, int bits, int outputs,"
           " int group")


def plain(x: Tensor) -> Any:
    """What computes without the compiled kernels: Triton on GPUs that it knows, else torch."""
    if gpu.runs_on(x.device):
        from mpsearch.kernels.gpu import face

        return face
    return reference


def _compiled(x: Tensor) -> Kernels | None:
    return None if x.is_cuda else kernels()


def direct(x: Tensor) -> Kernels | None:
    """The kernels, where a call may go to them at once: *x* is plain, no one watches operators.

    It is worth it: the way through an operator takes longer than a small layer.
    """
    if torch.compiler.is_compiling() or type(x) is not Tensor or x.device.type != "cpu":
        return None
    if torch._C._len_torch_dispatch_stack():  # noqa: SLF001 - there is no public question
        return None
    return kernels()


def _weight(stream: Tensor, w_scale: Tensor, w_zero: Tensor, w_sums: Tensor, bits: int,
            outputs: int, group: int, inputs: int) -> PackedWeight:
    return PackedWeight(stream=stream, scale=w_scale, zero=w_zero, sums=w_sums, bits=bits,
                        outputs=outputs, inputs=inputs, group=group)


def _int_linear(codes: Tensor, scale: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor,
                w_zero: Tensor, w_sums: Tensor, bits: int, outputs: int, group: int,
                bias: Tensor | None) -> Tensor:
    own = _compiled(codes)
    if own is None:
        out: Tensor = plain(codes).linear(codes, scale, zero, _weight(
            stream, w_scale, w_zero, w_sums, bits, outputs, group, codes.shape[1]), bias)
        return out
    return native.linear(own, codes, zero, stream, (w_scale, w_zero, w_sums), bits=bits,
                         outputs=outputs, group=group, scale=scale, bias=bias)


def _int_linear_sums(codes: Tensor, zero: Tensor, stream: Tensor, w_scale: Tensor, w_zero: Tensor,
                     w_sums: Tensor, bits: int, outputs: int, group: int) -> Tensor:
    own = _compiled(codes)
    if own is None:
        out: Tensor = plain(codes).linear_sums(codes, zero, _weight(
            stream, w_scale, w_zero, w_sums, bits, outputs, group, codes.shape[1]))
        return out
    return native.linear(own, codes, zero, stream, (w_scale, w_zero, w_sums), bits=bits,
                         outputs=outputs, group=group)


def _quantized(x: Tensor, first: int, last: int, where: str, scale: Tensor | None = None,
               zero: Tensor | None = None, *, symmetric: bool = True
               ) -> tuple[Tensor, Tensor, Tensor]:
    own = _compiled(x)
    try:
        if own is None:
            own_codes: tuple[Tensor, Tensor, Tensor] = plain(x).quantize(
                x, first, last, scale=scale, zero=zero, symmetric=symmetric)
            return own_codes
        return native.quantize(own, x, first, last, scale=scale, zero=zero, symmetric=symmetric)
    except native.NotFinite:
        raise BadInput(not_finite(where)) from None


def not_finite(where: str) -> str:
    """What to say of numbers that are NaN or infinite; *where* names them."""
    return (f"cannot quantize {where or 'a tensor'}: it has values that are not finite (NaN or "
            "infinite): check the weights and the data that led to it")


def _quantize_rows(x: Tensor, scale: Tensor, zero: Tensor, first: int, last: int,
                   where: str) -> Tensor:
    return _quantized(x, first, last, where, scale, zero)[0]


def _quantize_rows_dynamic(x: Tensor, first: int, last: int, symmetric: bool, where: str
                           ) -> tuple[Tensor, Tensor, Tensor]:
    return _quantized(x, first, last, where, symmetric=symmetric)


def _int_batched_sums(a: Tensor, a_zero: Tensor, b: Tensor, b_zero: Tensor) -> Tensor:
    own = _compiled(a)
    if own is None:
        out: Tensor = plain(a).batched_sums(a, a_zero, b, b_zero)
        return out
    return native.batched(own, a, a_zero, b, b_zero)


def _int_batched(a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor,
                 b_zero: Tensor) -> Tensor:
    own = _compiled(a)
    if own is None:
        out: Tensor = plain(a).batched(a, a_zero, b, b_zero, scales=(a_scale, b_scale))
        return out
    return native.batched(own, a, a_zero, b, b_zero, scales=(a_scale, b_scale))


def _int_depthwise_sums(codes: Tensor, filters: Tensor, zero: int, window: list[int]) -> Tensor:
    own = _compiled(codes)
    if own is None:
        out: Tensor = plain(codes).depthwise(codes, filters, zero, window)
        return out
    return native.depthwise(own, codes, filters, zero, window,
                            size=shapes.out_size(codes.shape[2:], filters.shape[1:], window))


_ROWS = "Tensor x, Tensor scale, Tensor zero, int first, int last, str where"
_DYNAMIC = "Tensor x, int first, int last, bool symmetric, str where"
_PAIR = "Tensor a, Tensor a_zero, Tensor b, Tensor b_zero"
_SCALED = "Tensor a, Tensor a_scale, Tensor a_zero, Tensor b, Tensor b_scale, Tensor b_zero"
_OPERATORS: tuple[tuple[Callable[..., Any], str, Callable[..., Any]], ...] = (
    (_int_linear, f"(Tensor codes, Tensor scale, Tensor zero, {_WEIGHT}, Tensor? bias) -> Tensor",
     shapes.int_linear),
    (_int_linear_sums, f"(Tensor codes, Tensor zero, {_WEIGHT}) -> Tensor",
     shapes.int_linear_sums),
    (_quantize_rows, f"({_ROWS}) -> Tensor", shapes.quantize_rows),
    (_quantize_rows_dynamic, f"({_DYNAMIC}) -> (Tensor, Tensor, Tensor)",
     shapes.quantize_rows_dynamic),
    (_int_batched, f"({_SCALED}) -> Tensor", shapes.int_batched),
    (_int_batched_sums, f"({_PAIR}) -> Tensor", shapes.int_batched_sums),
    (_int_depthwise_sums, "(Tensor codes, Tensor filters, int zero, int[] window) -> Tensor",
     shapes.int_depthwise_sums),
)


def _registered() -> Any:
    """The operators; they exist as long as what this returns."""
    library: Any = Library("mpsearch", "FRAGMENT")  # type: ignore[no-untyped-call]
    for compute, schema, shape in _OPERATORS:
        library.define(shape.__name__ + schema)
        for device in ("CPU", "CUDA"):
            library.impl(shape.__name__, compute, device)
        register_fake(f"mpsearch::{shape.__name__}", shape, lib=library)
    return library


_LIBRARY = _registered()
