"""Layers in integers that run together with what follows them, or with what came before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mpsearch.backends.functions import norm_arguments
from mpsearch.backends.integer.linear import IntLinear
from mpsearch.graph.laps import CHANCES, LOGITS, mark, watching
from mpsearch.kernels import Activation
from mpsearch.kernels.coding import Coding
from mpsearch.kernels.functions import gelu, layer_norm_codes
from mpsearch.kernels.fused import attention, linear_codes, linear_followed
from mpsearch.kernels.packed import PackedWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A linear layer that has not run yet, because something is added to its output."""

    a: Activation
    weight: PackedWeight
    bias: Tensor | None

    def plus(self, add: Tensor | None) -> Tensor:
        """The output, plus *add*."""
        return linear_followed(self.a, self.weight, self.bias, add=add)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Followed:
    """*run*, one matrix of integers, followed by GELU and coded for the layers that read it.

    *waits*: it gives a `Product`, for an addition to run.
    """

    run: IntLinear
    gelu: bool = False
    coding: Coding | None = None
    waits: bool = False

    def __call__(self, operands: tuple[Any, ...]) -> Tensor | Activation | Product:
        """The operation's output."""
        bias = self.run.added(operands)
        if bias is not None and not self.run.is_bias(bias):
            return self._in_turn(operands)
        a, weight = self.run.factors(operands)
        if self.waits:
            return Product(a=a, weight=weight, bias=bias)
        if self.coding is not None:
            return linear_codes(a, weight, bias, self.coding, gelu=self.gelu)
        return linear_followed(a, weight, bias, gelu=self.gelu)

    def _in_turn(self, operands: tuple[Any, ...]) -> Tensor | Activation:
        out = self.run(operands)
        out = gelu(out) if self.gelu else out
        return out if self.coding is None else self.coding(out)


def added(one: Any, two: Any) -> Tensor:
    """The sum of two numbers, one of which may be a `Product`, or both."""
    if isinstance(one, Product):
        one, two = two, one
    if isinstance(one, Product):
        one = one.plus(None)
    if isinstance(two, Product):
        return two.plus(one) if isinstance(one, Tensor) else two.plus(None) + one
    total: Tensor = one + two
    return total


def passed(x: Any, *_: object, **__: object) -> Any:
    """What was done already, with the operation before."""
    return x


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NormCodes:
    """A layer norm, coded as all layers that read it code it."""

    coding: Coding

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Activation:
        """The codes of the operation's output."""
        return layer_norm_codes(x, *norm_arguments((x, *args), kwargs), self.coding)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turned:
    """A *view* of numbers, done to codes that have one scale."""

    view: Callable[..., Tensor]

    def __call__(self, x: Tensor | Activation, *args: Any, **kwargs: Any) -> Tensor | Activation:
        """The same numbers in another shape."""
        if isinstance(x, Activation):
            return x._replace(codes=self.view(x.codes, *args, **kwargs))
        return self.view(x, *args, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntAttention:
    """Attention whose two products are in integers, in one call.

    *codings* are those of queries, keys, chances and values, *out* that of the layers that read it.
    """

    codings: tuple[Coding, Coding, Coding, Coding]
    out: Coding | None = None

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | Activation:
        """The operation's output."""
        query, key, value = args[:3]
        scale = kwargs.get("scale")
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
        causal = bool(args[5] if len(args) > 5 else kwargs.get("is_causal"))  # noqa: PLR2004
        spent = None if watching() is None else torch.zeros(3, dtype=torch.int64)
        made = attention(query, key, value, self.codings, factor=factor, causal=causal,
                         out=self.out, spent=spent)
        if spent is not None:
            first, softmax, second = spent.tolist()
            mark(LOGITS, first / max(1, first + softmax + second))
            mark(CHANCES, softmax / max(1, softmax + second))
        return made


def all_float32(tensors: Any) -> bool:
    """Whether all numbers of a model have the type that fused operations take."""
    return all(each.dtype == torch.float32 for each in tensors
               if isinstance(each, Tensor) and each.is_floating_point())
