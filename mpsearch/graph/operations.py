"""The ATen operations that hold quantisable layers, and how to run them with changed operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.fx import Node

from mpsearch.core.types import Kind
from mpsearch.graph.laps import CHANCES, LOGITS, mark

Change = Callable[[Tensor], Tensor]
"""What is done to one operand before the operation runs."""
Product = Callable[[Tensor, Tensor], Tensor]
"""A matrix product of two activations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """An argument that can carry a format: its position and the dimensions summed over.

    *axes* count from the end; none stands for all but the first.
    """

    index: int
    axes: tuple[int, ...]

    def summed(self, dims: int) -> tuple[int, ...]:
        """The dimensions summed over in a tensor with *dims* dimensions."""
        if not self.axes:
            return tuple(range(1, dims))
        return (0,) if dims == 1 else self.axes  # a vector is all sum


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How one ATen operation maps to layers.

    *weight* is the stored weight, *input* and *other* are activations. *kind* is what the
    operation is when its weight is stored; a matmul has none.
    """

    kind: Kind
    input: Operand | None
    weight: Operand | None = None
    other: Operand | None = None


_LAST, _BEFORE_LAST, _ALL_BUT_FIRST = (-1,), (-2,), ()
_LINEAR = Operation(kind="linear", input=Operand(index=0, axes=_LAST),
                    weight=Operand(index=1, axes=_LAST))
_CONV = Operation(kind="conv", input=Operand(index=0, axes=_ALL_BUT_FIRST),
                  weight=Operand(index=1, axes=_ALL_BUT_FIRST))
_STORED = {
    "aten.linear.default": _LINEAR,
    "aten.embedding.default": Operation(kind="embedding", input=None,
                                        weight=Operand(index=0, axes=_ALL_BUT_FIRST)),
    "aten.conv1d.default": _CONV,
    "aten.conv2d.default": _CONV,
    "aten.conv3d.default": _CONV,
    "aten.conv1d.padding": _CONV,
    "aten.conv2d.padding": _CONV,
    "aten.conv3d.padding": _CONV,
}
_PRODUCTS = {"aten.matmul.default": 0, "aten.bmm.default": 0, "aten.mm.default": 0,
             "aten.addmm.default": 1, "aten.baddbmm.default": 1}
ATTENTION = "aten.scaled_dot_product_attention.default"
_NOT_OFFERED = ("aten.conv_transpose", "aten.bilinear", "aten.einsum", "aten._convolution",
                "aten.convolution", "aten.embedding_bag", "aten.gru", "aten.lstm", "aten.rnn",
                "aten._native_multi_head_attention", "aten._transformer_encoder_layer_fwd")


def stored(target: str) -> Operation | None:
    """The operation *target* if its weight is an operand of its own (linear, conv, embedding)."""
    return _STORED.get(target)


def product(target: str) -> int | None:
    """Position of the first factor if *target* is a plain matrix product, else None."""
    return _PRODUCTS.get(target)


def not_offered(node: Node, target: str) -> bool:
    """Whether *node* has weights or products that stay in floating point.

    Operations with graphs of their own inside, such as torch.cond, are not looked into.
    """
    return target.startswith(_NOT_OFFERED) or isinstance(node.target, HigherOrderOperator)


def times_weight(first: int) -> Operation:
    """A product whose second factor is a weight of shape [inputs, outputs]."""
    return Operation(kind="linear", input=Operand(index=first, axes=_LAST),
                     weight=Operand(index=first + 1, axes=_BEFORE_LAST))


def times_activation(first: int) -> Operation:
    """A product of two activations."""
    return Operation(kind="matmul", input=Operand(index=first, axes=_LAST),
                     other=Operand(index=first + 1, axes=_BEFORE_LAST))


QUERY_KEY = Operation(kind="matmul", input=Operand(index=0, axes=_LAST),
                      other=Operand(index=1, axes=_LAST))
"""The first product inside fused attention: queries times keys, both summed over features."""
PROBABILITY_VALUE = Operation(kind="matmul", input=Operand(index=0, axes=_LAST),
                              other=Operand(index=2, axes=_BEFORE_LAST))
"""The second product inside fused attention: probabilities times values."""


def argument(node: Node, index: int) -> Any:
    """Positional or keyword argument number *index* of an ATen node."""
    if index < len(node.args):
        return node.args[index]
    name = node.target._schema.arguments[index].name  # type: ignore[union-attr]  # noqa: SLF001
    return node.kwargs.get(name)


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(-1)


def attention(args: tuple[Any, ...], kwargs: Mapping[str, Any], *, query_key: Mapping[str, Change],
              probability_value: Mapping[str, Change],
              products: tuple[Product, Product] = (torch.matmul, torch.matmul),
              softmax: Change = _softmax) -> Tensor:
    """Scaled dot-product attention in the open, with operands of its two products changed.

    The *products* are of queries and keys (turned), and of probabilities and values. The arithmetic
    is that of `torch.nn.functional.scaled_dot_product_attention`, without dropout; *softmax* is of
    the last dimension.
    """
    query, key, value = args[:3]
    places = ("attn_mask", "dropout_p", "is_causal")
    named = dict(zip(places, args[3:], strict=False)) | dict(kwargs)
    if named.get("enable_gqa"):
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(repeats, -3) for t in (key, value))
    scale = named.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    query, key = _changed(query_key, "input", query), _changed(query_key, "other", key)
    logits = products[0](query, key.transpose(-2, -1)).mul_(scale)
    mark(LOGITS)
    chances = _chances(logits, named.get("attn_mask"), softmax,
                       causal=bool(named.get("is_causal")))
    mark(CHANCES)
    chances = _changed(probability_value, "input", chances)
    return products[1](chances, _changed(probability_value, "other", value))


def _chances(logits: Tensor, mask: Tensor | None, softmax: Change, *, causal: bool) -> Tensor:
    if causal:
        mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    if mask is None:
        return softmax(logits)
    logits = logits.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else logits + mask
    # Where everything is masked, nothing is attended to.
    return softmax(logits).masked_fill(logits.isneginf().all(-1, keepdim=True), 0)


def _changed(changes: Mapping[str, Change], operand: str, tensor: Tensor) -> Tensor:
    return changes[operand](tensor) if operand in changes else tensor
