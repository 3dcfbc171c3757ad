"""Linear layers and products of two activations."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.kernels import native, ops
from mpsearch.kernels.activation import Activation
from mpsearch.kernels.packed import PackedWeight, check_sums

_BYTE, _BITS, _HALF = 256, 8, 128
_MATRIX = 2  # dimensions


def linear(a: Activation, weight: PackedWeight, bias: Tensor | None = None) -> Tensor:
    """*a* [..., inputs] times a packed weight: float32 [..., outputs].

    Sums of codes are exact; then they are converted to float32, times the weight's scale (summed
    over groups in their order), times the activation's, plus *bias* (float32 [outputs]). Results do
    not depend on the instruction set or the number of threads.

    Activations of 16 bits go as two exact products of bytes; their sums are scaled in float64, one
    group after the other, and rounded to float32 once.

    Raises:
        BadInput: the shapes do not fit.
    """
    a, bias = checked(a, weight, bias)
    wide = a.codes.dtype == torch.int16
    if wide:
        return _rounded_once(a, weight, bias)
    kernels = ops.direct(a.codes)
    if kernels is not None:
        out = native.linear(kernels, a.rows(), a.zero, weight.stream,
                            (weight.scale, weight.zero, weight.sums), bits=weight.bits,
                            outputs=weight.outputs, group=weight.group, scale=a.scale, bias=bias)
    else:
        out = torch.ops.mpsearch.int_linear(a.rows(), a.scale, a.zero, *_parts(weight), bias)
    return out.view(*a.codes.shape[:-1], weight.outputs)


def linear_sums(a: Activation, weight: PackedWeight) -> Tensor:
    """The exact sums of (code - zero) * (weight code - its zero) [..., outputs].

    int32 for activations of 8 bits, int64 for those of 16.

    Raises:
        BadInput: the shapes do not fit, or the weight has groups, whose sums have no common unit.
    """
    a = _checked(a, weight)
    if weight.groups > 1:
        raise BadInput(f"a weight with {weight.groups} groups of inputs has no sums in one unit: "
                       "use linear")
    if a.codes.dtype == torch.int16:
        high, low = _limbs(a)
        return linear_sums(high, weight).long() * _BYTE + linear_sums(low, weight)
    out: Tensor = torch.ops.mpsearch.int_linear_sums(a.rows(), a.zero, *_parts(weight))
    return out.view(*a.codes.shape[:-1], weight.outputs)


def matmul(a: Activation, b: Activation) -> Tensor:
    """*a* [..., M, K] times *b* [..., N, K] transposed: float32 [..., M, N].

    Both have 8-bit codes of any strides (pass values as [..., N, K] by a transposed view). Scales
    and zero points are one number, or one for each row: of M in *a*, of N in *b*.

    Raises:
        BadInput: the shapes do not fit.
    """
    a, b = _checked_pair(a, b)
    kernels = ops.direct(a.codes)
    if kernels is not None:
        left, right = _alike(a), _alike(b)
        out = native.batched(kernels, _flat(a), left.zero, _flat(b), right.zero,
                             scales=(left.scale, right.scale))
    else:
        one, two = _batched(a), _batched(b)
        out = torch.ops.mpsearch.int_batched(one[0], _table(a.scale, one[0]), one[1],
                                             two[0], _table(b.scale, two[0]), two[1])
    return out.view(*a.codes.shape[:-1], b.codes.shape[-2])


def matmul_sums(a: Activation, b: Activation) -> Tensor:
    """The exact sums of `matmul`, int32 [..., M, N].

    Raises:
        BadInput: the shapes do not fit.
    """
    a, b = _checked_pair(a, b)
    left, right = _batched(a), _batched(b)
    out: Tensor = torch.ops.mpsearch.int_batched_sums(*left, *right)
    return out.view(*a.codes.shape[:-1], b.codes.shape[-2])


def _batched(a: Activation) -> tuple[Tensor, Tensor]:
    """Codes as [B, rows, K], without a copy where strides allow it, and zero points [B, rows]."""
    codes = _flat(a)
    return codes, _table(a.zero, codes)


def _flat(a: Activation) -> Tensor:
    return a.codes.unsqueeze(0) if a.codes.dim() == _MATRIX else a.codes.flatten(0, -3)


def _alike(a: Activation) -> Activation:
    """With as many scales as zero points: one of both, or one of both a row."""
    if a.scale.numel() == a.zero.numel():
        return a
    codes = _flat(a)
    return Activation(codes, _table(a.scale, codes), _table(a.zero, codes))


def _table(table: Tensor, codes: Tensor) -> Tensor:
    if table.numel() == 1:
        return table.reshape(1, 1).expand(codes.shape[:2]).contiguous()
    return table.reshape(codes.shape[:2]).contiguous()


def _checked_pair(a: Activation, b: Activation) -> tuple[Activation, Activation]:
    one, two = a.codes, b.codes
    if one.dtype != torch.int8 or two.dtype != torch.int8:
        raise BadInput("products of two activations have 8-bit codes: quantize them to at most "
                       "8 bits")
    if one.shape[:-2] != two.shape[:-2] or one.shape[-1] != two.shape[-1] or not one.shape[-1]:
        raise BadInput(f"codes of shape {tuple(one.shape)} do not multiply those of shape "
                       f"{tuple(two.shape)}: they need the same batch and last dimension")
    check_sums(one.shape[-1], _BITS)
    return _tables(a), _tables(b)


def checked(a: Activation, weight: PackedWeight,
            bias: Tensor | None) -> tuple[Activation, Tensor | None]:
    """*a* and *bias* with tables that the kernels can read, if they fit the weight.

    Raises:
        BadInput: they do not.
    """
    return _checked(a, weight), None if bias is None else _bias(bias, weight)


def _checked(a: Activation, weight: PackedWeight) -> Activation:
    """*a* with tables that the kernels can read, if it fits the weight."""
    if not a.codes.dim() or a.codes.shape[-1] != weight.inputs:
        raise BadInput(f"codes of shape {tuple(a.codes.shape)} for a weight with {weight.inputs} "
                       "inputs")
    if a.codes.dtype not in {torch.int8, torch.int16}:
        raise BadInput(f"codes are int8 or int16, not {a.codes.dtype}: use quantize")
    return _tables(a)


def _tables(a: Activation) -> Activation:
    """Scale and zero point dense and of their types: the kernels read them by address."""
    rows = a.codes.shape[:-1].numel()
    for name, table in (("scales", a.scale), ("zero points", a.zero)):
        if table.numel() not in {1, rows}:
            raise BadInput(f"{table.numel()} {name} for {rows} rows of codes: give one, or one "
                           "a row")
    return Activation(a.codes, a.scale.float().contiguous(), a.zero.int().contiguous())


def _bias(bias: Tensor, weight: PackedWeight) -> Tensor:
    if bias.numel() != weight.outputs:
        raise BadInput(f"a bias of {bias.numel()} numbers for a weight with {weight.outputs} "
                       "outputs")
    return bias.float().contiguous()


def _parts(w: PackedWeight) -> tuple[Tensor, Tensor, Tensor, Tensor, int, int, int]:
    return w.stream, w.scale, w.zero, w.sums, w.bits, w.outputs, w.group


def _limbs(a: Activation) -> tuple[Activation, Activation]:
    """16-bit codes as 256 * high + low, both of 8 signed bits: exact, zero points too."""
    def cut(x: Tensor) -> tuple[Tensor, Tensor]:
        return x >> _BITS, (x & (_BYTE - 1)) - _HALF

    (high, low), (high_zero, low_zero) = cut(a.codes), cut(a.zero)
    return (Activation(high.to(torch.int8), a.scale * _BYTE, high_zero),
            Activation(low.to(torch.int8), a.scale, low_zero))


def _rounded_once(a: Activation, weight: PackedWeight, bias: Tensor | None) -> Tensor:
    total: Tensor | None = None
    for number, scale in enumerate(weight.scales().double().unbind(1)):
        part = a._replace(codes=a.codes[..., weight.run(number)])
        sums = linear_sums(part, weight.of_group(number)).double() * scale
        total = sums if total is None else total + sums
    assert total is not None  # noqa: S101 - there is a group
    out = (total.view(-1, weight.outputs) * a.scale.view(-1, 1)).float()
    out = out if bias is None else out + bias
    return out.view(total.shape)
