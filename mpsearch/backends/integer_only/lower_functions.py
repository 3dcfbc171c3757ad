"""Attention, softmax, GELU and normalisations, in integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.backends.integer_only.builder import Builder
from mpsearch.backends.integer_only.dyadic import Dyadic, square_root
from mpsearch.backends.integer_only.functions import PLACES, SOFTMAX_BITS, Gelu, Normalise, Softmax
from mpsearch.backends.integer_only.grid import Grid
from mpsearch.backends.integer_only.layer_norm import PLACES as NORMAL_PLACES
from mpsearch.backends.integer_only.layer_norm import widest
from mpsearch.backends.integer_only.lower_products import product
from mpsearch.backends.integer_only.operations import Affine, Mean, Positive
from mpsearch.backends.integer_only.policy import Decisions
from mpsearch.backends.integer_only.shiftmax import LONGEST
from mpsearch.graph.operations import argument
from mpsearch.graph.sites import Site

_EPSILON = 1e-5  # torch's own, where none is given
_UNIT = Fraction(1, 1 << PLACES)


def lower_attention(build: Builder, policy: Decisions, node: Node, site: Site) -> None:
    """Fused attention in the open: queries times keys, Shiftmax, probabilities times values."""
    query, key, value = (argument(node, index) for index in range(3))
    mask, causal, scale = (argument(node, index) for index in (3, 5, 6))
    if mask is not None or causal or argument(node, 7):
        raise build.refuse(node, "has a mask or shared heads")
    features, keys = build.size(query, -1), build.size(key, -2)
    first, second = site.layers
    product(build, policy, node, first, (build.value(query), build.value(key)), inner=features,
            name=f"{node.name}:logits", turned=True, finest=PLACES,
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
    _require(build, node, source)
    grid = Grid(scale=Fraction(1, 1 << (SOFTMAX_BITS - 1)), low=0, high=1 << (SOFTMAX_BITS - 1))
    build.add(name, Softmax(dtype=grid.dtype), (build.at(source, _UNIT),), grid)


def _require(build: Builder, node: Node, source: str) -> None:
    if build.grid(source).reach / _UNIT >= (1 << 31) - 1:
        raise build.refuse(node, "may get numbers beyond 524,287, too large for its 12 binary "
                                 "places in 32 bits")


def gelu(clipped: bool) -> Callable[[Builder, Node], None]:
    """The rule for GELU, with long tails *clipped* or not."""
    def lower(build: Builder, node: Node) -> None:
        source = build.value(argument(node, 0))
        _require(build, node, source)
        moved = build.at(source, _UNIT)
        grid = build.grid(moved)
        grid = Grid(scale=_UNIT, low=min(grid.low, 0), high=max(grid.high, 0))
        build.add(node.name, Gelu(clipped=clipped, dtype=grid.dtype), (moved,), grid)

    return lower


def lower_layer_norm(build: Builder, node: Node) -> None:
    """Rows of mean 0 and one length, then a factor and a summand for each feature."""
    shape = argument(node, 1)
    if len(shape) != 1:
        raise build.refuse(node, "is over more than the last dimension")
    count = int(shape[0])
    epsilon = Fraction(_EPSILON if argument(node, 4) is None else argument(node, 4))
    source = build.value(argument(node, 0))
    grid = build.grid(source)
    scale = grid.scale
    while (grid.high - grid.low) * grid.scale / scale + 2 > widest(count, _whole(
            epsilon, count, scale)):
        scale *= 2
    moved = build.at(source, scale)
    most = 1 << NORMAL_PLACES
    unit = Grid(scale=Fraction(1, most), low=-most, high=most)
    rows = build.add(f"{node.name}:rows", Normalise(
        epsilon=_whole(epsilon, count, scale), dtype=unit.dtype), (moved,), unit)
    root = square_root(count)
    gain, shift = (_stored(build, node, index, count, usual) for index, usual in ((2, 1.0), (3, 0)))
    _affine(build, node, rows, [Fraction(each) * root for each in gain],
            [Fraction(each) for each in shift], (count,))


def _whole(epsilon: Fraction, count: int, scale: Fraction) -> int:
    return max(1, math.floor(epsilon * count / scale ** 2))


def lower_batch_norm(build: Builder, node: Node) -> None:
    """With stored statistics: a factor and a summand for each channel."""
    names = ("weight", "bias", "running_mean", "running_var")
    if argument(node, 5) or any(argument(node, index) is None for index in (3, 4)):
        raise build.refuse(node, "takes its statistics from the batch")
    count = build.size(argument(node, 0), 1)
    values = dict(zip(names, (torch.tensor(_stored(build, node, index, count, usual)).double()
                              for index, usual in ((1, 1.0), (2, 0.0), (3, 0.0), (4, 1.0))),
                      strict=True))
    factor = values["weight"] / (values["running_var"] + argument(node, 7)).sqrt()
    shift = values["bias"] - values["running_mean"] * factor
    dims = len(build.program.traced.graph.nodes[node.name]["shape"])
    _affine(build, node, build.value(argument(node, 0)), [Fraction(each) for each in factor.tolist()],
            [Fraction(each) for each in shift.tolist()], (count, *[1] * (dims - 2)))


def lower_scaled(build: Builder, node: Node, source: str, factor: Tensor) -> None:
    """Multiplied by stored numbers."""
    factors = [Fraction(each) for each in factor.double().flatten().tolist()]
    _affine(build, node, source, factors, [Fraction(0)] * len(factors), tuple(factor.shape))


def _affine(build: Builder, node: Node, source: str, factors: Sequence[Fraction],
            summands: Sequence[Fraction], shape: tuple[int, ...]) -> None:
    grid = build.grid(source)
    reach = max(abs(factor) * grid.reach + abs(summand)
                for factor, summand in zip(factors, summands, strict=True))
    scale = build.scale(reach)
    dyadic = Dyadic.of([factor * grid.scale / scale for factor in factors], grid.magnitude,
                       shape=shape, device=build.device)
    offset = torch.tensor([math.floor(summand / scale + Fraction(1, 2)) for summand in summands],
                          device=build.device).reshape(shape)
    low, high = (dyadic(torch.tensor(end, device=build.device)) + offset
                 for end in (grid.low, grid.high))
    both = torch.stack([low, high])
    made = Grid(scale=scale, low=int(both.min()), high=int(both.max()))
    build.add(node.name, Affine(dyadic=dyadic, offset=offset, dtype=made.dtype), (source,), made)


def _stored(build: Builder, node: Node, index: int, count: int, usual: float) -> list[float]:
    given = argument(node, index)
    if given is None:
        return [usual] * count
    if given not in build.fixed:
        raise build.refuse(node, "has factors that are computed, not stored")
    found: list[float] = build.fixed[given].double().tolist()
    return found


def lower_relu(build: Builder, node: Node) -> None:
    """What is below 0 becomes 0."""
    source = build.value(argument(node, 0))
    grid = build.grid(source)
    made = Grid(scale=grid.scale, low=max(grid.low, 0), high=max(grid.high, 0))
    build.add(node.name, Positive(), (source,), made)


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
    "aten.layer_norm.default": lower_layer_norm, "aten.batch_norm.default": lower_batch_norm,
    "aten.relu.default": lower_relu, "aten.mean.dim": lower_mean,
    "aten.adaptive_avg_pool2d.default": lower_average_pool,
    "aten.adaptive_avg_pool1d.default": lower_average_pool,
}
