"""Attention, softmax, GELU, ReLU and means, in integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch.fx import Node

from mpsearch.backends.integer_only.builder import Builder
from mpsearch.backends.integer_only.dyadic import Dyadic, square_root
from mpsearch.backends.integer_only.functions import (
    MOST_PLACES,
    SOFTMAX_BITS,
    Gelu,
    GeluKind,
    Softmax,
)
from mpsearch.backends.integer_only.grid import Grid
from mpsearch.backends.integer_only.lower_products import product
from mpsearch.backends.integer_only.operations import Mean, Positive
from mpsearch.backends.integer_only.policy import Decisions
from mpsearch.backends.integer_only.shiftmax import LONGEST
from mpsearch.graph.operations import argument
from mpsearch.graph.sites import Site


def lower_attention(build: Builder, policy: Decisions, node: Node, site: Site) -> None:
    """Fused attention in the open: queries times keys, Shiftmax, probabilities times values."""
    query, key, value = (argument(node, index) for index in range(3))
    mask, causal, scale = (argument(node, index) for index in (3, 5, 6))
    if mask is not None or causal or argument(node, 7):
        raise build.refuse(node, "has a mask or shared heads")
    if scale is not None and scale <= 0:
        raise build.refuse(node, "has a scale that is not above 0")
    features, keys = build.size(query, -1), build.size(key, -2)
    first, second = site.layers
    product(build, policy, node, first, (build.value(query), build.value(key)), inner=features,
            name=f"{node.name}:logits", turned=True, finest=MOST_PLACES,
            factor=1 / square_root(features) if scale is None else Fraction(scale))
    _softmax(build, node, f"{node.name}:logits", keys, f"{node.name}:chances")
    product(build, policy, node, second, (f"{node.name}:chances", build.value(value)), inner=keys,
            name=node.name)


def lower_softmax(build: Builder, node: Node) -> None:
    """Softmax over the last dimension."""
    source, dim = argument(node, 0), argument(node, 1)
    shape = build.program.traced.graph.nodes[source.name]["shape"]
    if dim not in {-1, len(shape) - 1}:
        raise build.refuse(node, "is over another dimension than the last")
    _softmax(build, node, build.value(source), build.size(source, -1), node.name)


def _softmax(build: Builder, node: Node, source: str, length: int, name: str) -> None:
    if length > LONGEST:
        raise build.refuse(node, f"has rows of more than {LONGEST} numbers")
    moved, places = _with_places(build, node, source)
    grid = Grid(scale=Fraction(1, 1 << (SOFTMAX_BITS - 1)), low=0, high=1 << (SOFTMAX_BITS - 1))
    build.add(name, Softmax(places=places, dtype=grid.dtype), (moved,), grid)


def _with_places(build: Builder, node: Node, source: str) -> tuple[str, int]:
    """The value called *source* with binary places for a function, and how many it has."""
    scale = build.scale(build.grid(source).reach, MOST_PLACES)
    if scale > 1:
        raise build.refuse(node, f"may get numbers that {build.bits} bits hold no fractions of")
    return build.at(source, scale), scale.denominator.bit_length() - 1


def gelu(kind: GeluKind) -> Callable[[Builder, Node], None]:
    """The rule for GELU, computed in one of three ways."""
    def lower(build: Builder, node: Node) -> None:
        moved, places = _with_places(build, node, build.value(argument(node, 0)))
        grid = build.grid(moved)
        grid = Grid(scale=grid.scale, low=min(grid.low, 0), high=max(grid.high, 0))
        op = Gelu(kind=kind, places=places, dtype=grid.dtype)
        build.add(node.name, op, (moved,), grid)

    return lower


def lower_relu(build: Builder, node: Node) -> None:
    """What is below 0 becomes 0."""
    source = build.value(argument(node, 0))
    grid = build.grid(source)
    made = Grid(scale=grid.scale, low=max(grid.low, 0), high=max(grid.high, 0))
    build.add(node.name, Positive(dtype=made.dtype), (source,), made)


def lower_mean(build: Builder, node: Node) -> None:
    """The mean over some dimensions, none of which holds the samples."""
    source, dims = argument(node, 0), argument(node, 1)
    dims = tuple(dims) if dims else None
    if dims is None:
        raise build.refuse(node, "is over all numbers, samples too")
    mean(build, node, dims, keep=bool(argument(node, 2)), source=source)


def lower_average_pool(build: Builder, node: Node) -> None:
    """Adaptive average pooling to a single place."""
    size = argument(node, 1)
    if any(each != 1 for each in size):
        raise build.refuse(node, "averages to more than one place")
    mean(build, node, tuple(range(-len(size), 0)), keep=True, source=argument(node, 0))


def mean(build: Builder, node: Node, dims: tuple[int, ...], *, keep: bool, source: Node) -> None:
    """The mean of *source*'s value over *dims*."""
    count = math.prod(build.size(source, dim) for dim in dims)
    name = build.value(source)
    grid = build.grid(name)
    scale = build.scale(grid.reach)
    dyadic = Dyadic.of([grid.scale / scale / count], grid.magnitude * count, device=build.device)
    low, high = (int(dyadic(torch.tensor(end * count, device=build.device)))
                 for end in (grid.low, grid.high))
    made = Grid(scale=scale, low=low, high=high)
    build.add(node.name, Mean(dims=dims, keep=keep, dyadic=dyadic, dtype=made.dtype), (name,), made)


LOWER: dict[str, Callable[[Builder, Node], None]] = {
    "aten.softmax.int": lower_softmax, "aten._softmax.default": lower_softmax,
    "aten.relu.default": lower_relu, "aten.mean.dim": lower_mean,
    "aten.adaptive_avg_pool2d.default": lower_average_pool,
    "aten.adaptive_avg_pool1d.default": lower_average_pool,
}
