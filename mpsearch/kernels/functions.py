"""GELU, softmax and layer norm as the kernels compute them, alone or on the way to codes.

They are functions of float32 numbers on the CPU, to a few units in the last place. Their bits are
the same on every instruction set; other types and devices get torch's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mpsearch.core.errors import BadInput
from mpsearch.kernels import (
    function_ops,  # noqa: F401 - the operators
    native,
    native_functions,
    ops,
)
from mpsearch.kernels.activation import Activation
from mpsearch.kernels.coding import Coding


def own_kind(x: Tensor) -> bool:
    """Whether the kernels have functions of numbers like *x*."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and x.dim() > 0


def gelu(x: Tensor) -> Tensor:
    """*x* times the normal distribution's function of it.

    Errors are at most 2.5e-7 times the larger of 1 and the size of *x*.
    """
    if not own_kind(x):
        return functional.gelu(x)
    made: Tensor = torch.ops.mpsearch.gelu_rows(_rows(x))
    return made.view(x.shape)


def softmax(x: Tensor) -> Tensor:
    """Of the last dimension of *x*, finite numbers or -infinity; 0 where all are -infinity."""
    if not own_kind(x):
        return x.softmax(-1)
    made: Tensor = torch.ops.mpsearch.softmax_rows(_rows(x))
    return made.view(x.shape)


def layer_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5) -> Tensor:
    """Of the last dimension of *x*, which *weight* and *bias* float32 have too."""
    if not own_kind(x):
        return functional.layer_norm(x, x.shape[-1:], weight, bias, eps)
    made: Tensor = torch.ops.mpsearch.layer_norm_rows(_rows(x), *_dense(weight, bias), eps)
    return made.view(x.shape)


def layer_norm_codes(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float,
                     coding: Coding) -> Activation:
    """The codes of `layer_norm`, to the bit, made while a row is at hand.

    Raises:
        BadInput: a number is NaN or infinite.
    """
    own = ops.direct(x) if own_kind(x) else None
    if own is None:
        return coding(layer_norm(x, weight, bias, eps))
    weight, bias = _dense(weight, bias)
    try:
        codes, scale, zero = native_functions.function_codes(
            own, native_functions.LAYER_NORM, _rows(x), coding.raw, weight=weight, bias=bias,
            eps=eps)
    except native.NotFinite:
        raise BadInput(coding.refused) from None
    tables = coding.tables if coding.static else (scale, zero)
    return Activation(codes.view(x.shape), *tables)


def _rows(x: Tensor) -> Tensor:
    own = x.detach().reshape(x.shape[:-1].numel(), x.shape[-1])
    return own if own.stride(-1) == 1 else own.contiguous()


def _dense(*tables: Tensor | None) -> Sequence[Tensor | None]:
    return [None if each is None else each.detach().float().contiguous() for each in tables]
