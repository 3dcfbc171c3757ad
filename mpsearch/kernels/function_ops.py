"""Operators of functions between products, whose bits are the same wherever they are computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import Library, register_fake

from mpsearch.kernels import function_steps
from mpsearch.kernels.library import kernels
from mpsearch.kernels.native_functions import GELU, LAYER_NORM, SOFTMAX, function


def _gelu_rows(x: Tensor) -> Tensor:
    own = kernels()
    return function_steps.gelu(x) if own is None else function(own, GELU, x)


def _softmax_rows(x: Tensor) -> Tensor:
    own = kernels()
    return function_steps.softmax(x) if own is None else function(own, SOFTMAX, x)


def _layer_norm_rows(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    own = kernels()
    if own is None:
        return function_steps.layer_norm(x, weight, bias, eps)
    return function(own, LAYER_NORM, x, weight=weight, bias=bias, eps=eps)


def _alike(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


_NORM = "(Tensor x, Tensor? weight, Tensor? bias, float eps) -> Tensor"
_OPERATORS = (("gelu_rows", "(Tensor x) -> Tensor", _gelu_rows),
              ("softmax_rows", "(Tensor x) -> Tensor", _softmax_rows),
              ("layer_norm_rows", _NORM, _layer_norm_rows))


def _registered() -> Any:
    """The operators; they exist as long as what this returns."""
    library: Any = Library("mpsearch", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, schema, compute in _OPERATORS:
        library.define(name + schema)
        library.impl(name, compute, "CPU")
        register_fake(f"mpsearch::{name}", _alike, lib=library)
    return library


_LIBRARY = _registered()
