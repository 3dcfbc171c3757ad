"""Layers with weights and products of activations, in integers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.backends.integer_only.builder import Builder
from mpsearch.backends.integer_only.dyadic import Dyadic
from mpsearch.backends.integer_only.geometry import Geometry
from mpsearch.backends.integer_only.grid import FINEST, Grid
from mpsearch.backends.integer_only.operations import Lookup
from mpsearch.backends.integer_only.policy import Decisions
from mpsearch.backends.integer_only.products import Convolution, Linear, Product
from mpsearch.backends.integer_only.sums import Rows, Sums, require_room
from mpsearch.graph.operations import argument
from mpsearch.graph.sites import Call


def lower_linear(build: Builder, policy: Decisions, node: Node, call: Call) -> None:
    """``linear``, or a matrix product whose second factor is a weight."""
    codes, scales = policy.weight(call)
    if codes.dim() != 2:  # noqa: PLR2004 - a matrix
        raise build.refuse(node, "multiplies with a stack of weights")
    if {"alpha", "beta"} & set(node.kwargs):
        raise build.refuse(node, "has factors of its own")
    assert call.operation.weight is not None  # noqa: S101 - it is about a stored weight
    place = call.operation.weight.index
    if call.operation.weight.axes == (-2,):  # stored with inputs first
        codes, scales = codes.t(), scales.t()
    bias = argument(node, 2) if build.target(node) == "aten.linear.default" else (
        argument(node, 0) if place == 2 else None)  # noqa: PLR2004 - addmm
    source = _input(build, policy, node, call)
    sums = Sums.of(build, source, Rows(layer=call.layer, codes=codes, scales=scales[:, 0],
                                       bias=_bias(build, node, bias)))
    build.add(node.name, Linear(weight=sums.weight, bias=sums.bias, dyadic=sums.dyadic,
                                dtype=sums.grid.dtype), (source,), sums.grid)


def lower_convolution(build: Builder, policy: Decisions, node: Node, call: Call) -> None:
    """``conv1d`` to ``conv3d``, in groups or not."""
    codes, scales = policy.weight(call)
    geometry = Geometry.of(node, tuple(codes.shape[2:]))
    source = _input(build, policy, node, call)
    sums = Sums.of(build, source, Rows(
        layer=call.layer, codes=codes.flatten(1), scales=scales.flatten(1)[:, 0],
        bias=_bias(build, node, argument(node, 2))))
    build.add(node.name, Convolution(
        weight=sums.weight.view(geometry.groups, -1, codes[0].numel()), bias=sums.bias,
        dyadic=sums.dyadic, dtype=sums.grid.dtype, kernel=geometry.kernel, stride=geometry.stride,
        padding=geometry.padding, dilation=geometry.dilation), (source,), sums.grid)


def lower_product(build: Builder, policy: Decisions, node: Node, call: Call) -> None:
    """A matrix product of two activations."""
    assert call.operation.other is not None  # noqa: S101 - it is a product of two activations
    if call.operation.input is None or call.operation.input.index:
        raise build.refuse(node, "adds to a product of activations")
    left = argument(node, call.operation.input.index)
    product(build, policy, node, call.layer, (
        build.value(left), build.value(argument(node, call.operation.other.index))),
        inner=build.size(left, -1), name=node.name)


def product(build: Builder, policy: Decisions, node: Node, layer: str, sources: tuple[str, str], *,
            inner: int, name: str, turned: bool = False, factor: Fraction = Fraction(1),
            finest: int = FINEST) -> None:
    """Two activations multiplied, and by *factor*; the result is called *name*.

    *inner* products are summed for each number.
    """
    a, b = (operand(build, policy, layer, which, source)
            for which, source in zip(("input", "other"), sources, strict=True))
    grids = build.grid(a), build.grid(b)
    most = inner * grids[0].magnitude * grids[1].magnitude
    require_room(layer, most)
    unit = grids[0].scale * grids[1].scale * factor
    scale = build.scale(most * unit, finest)
    dyadic = Dyadic.of([unit / scale], most, device=build.device)
    low, high = dyadic.ends(*torch.tensor([-most, most], device=build.device))
    grid = Grid(scale=scale, low=low, high=high)
    build.enter(node)
    build.add(name, Product(turned=turned, dyadic=dyadic, dtype=grid.dtype), (a, b), grid)


def lower_embedding(build: Builder, policy: Decisions, node: Node, call: Call) -> None:
    """Rows of a quantized table."""
    fmt = policy.format(call.layer, "weight")
    _, table = policy.fake.weights.fake_as_stored(call.layer, fmt)
    codes, grid = build.whole(table)
    build.add(node.name, Lookup(table=codes), (build.value(argument(node, 1)),), grid)


def operand(build: Builder, policy: Decisions, layer: str, which: str, source: str) -> str:
    """The value called *source* as the activation operand that *layer* wants."""
    target = policy.operand(layer, which)
    return build.at(source, target.scale, target.limits)


def _input(build: Builder, policy: Decisions, node: Node, call: Call) -> str:
    assert call.operation.input is not None  # noqa: S101 - only embeddings have none
    source = build.value(argument(node, call.operation.input.index))
    return operand(build, policy, call.layer, "input", source)


def _bias(build: Builder, node: Node, bias: Any) -> Tensor | None:
    if bias is None:
        return None
    if bias not in build.fixed or build.fixed[bias].dim() != 1:
        raise build.refuse(node, "adds something else than a stored bias")
    found: Tensor = build.fixed[bias]
    return found


LOWER: dict[str, Callable[[Builder, Decisions, Node, Call], None]] = {
    "linear": lower_linear, "conv": lower_convolution, "matmul": lower_product,
    "embedding": lower_embedding,
}
