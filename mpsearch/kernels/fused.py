"""Products with what follows them in one call: the bits are those of the calls in turn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.kernels import functions, native, native_functions, ops
from mpsearch.kernels.activation import Activation
from mpsearch.kernels.coding import Coding
from mpsearch.kernels.library import Kernels
from mpsearch.kernels.packed import PackedWeight, longest
from mpsearch.kernels.products import checked, linear, matmul

_DIMENSIONS, _BITS = 4, 8


def linear_followed(a: Activation, weight: PackedWeight, bias: Tensor | None = None, *,
                    gelu: bool = False, add: Tensor | None = None) -> Tensor:
    """`linear`, then GELU if so said, plus *add* like the output.

    Raises:
        BadInput: the shapes do not fit.
    """
    own = ops.direct(a.codes) if a.codes.dtype == torch.int8 else None
    fits = add is None or (functions.own_kind(add)
                           and add.shape == (*a.codes.shape[:-1], weight.outputs))
    if own is None or not fits:
        out = linear(a, weight, bias)
        out = functions.gelu(out) if gelu else out
        return out if add is None else out + add
    more = None if add is None else add.detach().reshape(-1, weight.outputs).contiguous()
    return _called(own, a, weight, bias, gelu=gelu, add=more)


def linear_codes(a: Activation, weight: PackedWeight, bias: Tensor | None, coding: Coding, *,
                 gelu: bool = False) -> Activation:
    """The codes of `linear`, or of its GELU, which must be *static*.

    Raises:
        BadInput: the shapes do not fit, or a number is not finite.
    """
    own = ops.direct(a.codes) if a.codes.dtype == torch.int8 and coding.static else None
    if own is None:
        return coding(linear_followed(a, weight, bias, gelu=gelu))
    try:
        codes = _called(own, a, weight, bias, gelu=gelu, coding=coding.raw)
    except native.NotFinite:
        raise BadInput(coding.refused) from None
    return Activation(codes, *coding.tables)


def _called(own: Kernels, a: Activation, weight: PackedWeight, bias: Tensor | None, *,
            gelu: bool, add: Tensor | None = None,
            coding: native.CodingOf | None = None) -> Tensor:
    a, bias = checked(a, weight, bias)
    out = native.linear(own, a.rows(), a.zero, weight.stream,
                        (weight.scale, weight.zero, weight.sums), bits=weight.bits,
                        outputs=weight.outputs, group=weight.group, scale=a.scale, bias=bias,
                        gelu=gelu, add=add, coding=coding)
    return out.view(*a.codes.shape[:-1], weight.outputs)


def attention(query: Tensor, key: Tensor, value: Tensor, codings: Sequence[Coding], *,
              factor: float, causal: bool = False, out: Coding | None = None,
              spent: Tensor | None = None) -> Tensor | Activation:
    """Softmax of *query* times *key* turned times *factor*, times *value*: all [B, H, .., ..].

    *codings* are those of queries, keys, chances and values; both products are of codes. With
    *out*, which must be static, the output is coded too. [B, H, M, values], in memory as
    [B, M, H, values]. To *spent*, int64 [3], are added the nanoseconds of the first product, the
    softmax and the second product, where they run in one call.

    Raises:
        BadInput: a number is not finite.
    """
    own = ops.direct(query) if _fits(query, key, value) else None
    if own is not None:
        given = [_dense(each) for each in (query, key, value)]
        raw = [each.raw for each in (*codings, *([out] if out else []))]
        try:
            made = native_functions.attention(own, given, raw, factor=factor, causal=causal,
                                              spent=spent)
        except native.NotFinite:
            pass  # the calls in turn say whose number it is
        else:
            return Activation(made, *out.tables) if out else made
    result = _in_turn(query, key, value, codings, factor, causal=causal)
    return out(result) if out else result


def _fits(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether one call takes them: shapes alike, sums that int32 holds."""
    given = query, key, value
    return (all(functions.own_kind(each) and each.dim() == _DIMENSIONS for each in given)
            and query.shape[:2] == key.shape[:2] == value.shape[:2]
            and query.shape[3] == key.shape[3] and key.shape[2] == value.shape[2]
            and 0 < query.shape[3] <= longest(_BITS) and 0 < key.shape[2] <= longest(_BITS))


def _in_turn(query: Tensor, key: Tensor, value: Tensor, codings: Sequence[Coding],
             factor: float, *, causal: bool) -> Tensor:
    left, right, chance, last = codings
    logits = matmul(left(query), right(key)).mul_(factor)
    if causal:
        seen = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
        logits = logits.masked_fill(~seen, -torch.inf)
    chances = chance(functions.softmax(logits))
    return matmul(chances, last(value.transpose(-2, -1)))


def _dense(x: Tensor) -> Tensor:
    x = x.detach()
    return x if x.stride(-1) == 1 else x.contiguous()
