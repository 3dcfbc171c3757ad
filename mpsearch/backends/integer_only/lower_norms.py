"""Normalisations and stored factors, in integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.backends.integer_only.builder import Builder
from mpsearch.backends.integer_only.dyadic import Dyadic, square_root
from mpsearch.backends.integer_only.functions import Normalise
from mpsearch.backends.integer_only.grid import Grid
from mpsearch.backends.integer_only.layer_norm import PLACES, widest
from mpsearch.backends.integer_only.operations import Affine, Alone
from mpsearch.graph.operations import argument

_EPSILON = 1e-5  # torch's own, where none is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Factors and summands that broadcast with a tensor as *shape*."""

    factors: Sequence[Fraction]
    summands: Sequence[Fraction]
    shape: tuple[int, ...]


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
    most = 1 << PLACES
    unit = Grid(scale=Fraction(1, most), low=-most, high=most)
    rows = build.add(f"{node.name}:rows", Normalise(
        epsilon=_whole(epsilon, count, scale), dtype=unit.dtype), (moved,), unit)
    root = square_root(count)
    gain, shift = (_stored(build, node, index, [usual] * count)
                   for index, usual in ((2, 1.0), (3, 0.0)))
    _affine(build, node.name, rows, Stored(factors=[each * root for each in gain], summands=shift,
                                      shape=(count,)))


def _whole(epsilon: Fraction, count: int, scale: Fraction) -> int:
    return max(1, math.floor(epsilon * count / scale ** 2))


def lower_batch_norm(build: Builder, node: Node) -> None:
    """With stored statistics: a factor and a summand for each channel."""
    if argument(node, 5):
        raise build.refuse(node, "takes its statistics from the batch")
    _batch_norm(build, node, node.name, argument(node, 7))


def lower_exported_batch_norm(build: Builder, node: Node) -> None:
    """The same as torch.export writes it: the first of several values."""
    name = f"{node.name}:first"
    _batch_norm(build, node, name, argument(node, 6))
    build.add(node.name, Alone(), (name,), build.grid(name))


def _batch_norm(build: Builder, node: Node, name: str, epsilon: float) -> None:
    source = argument(node, 0)
    count = build.size(source, 1)
    weight, bias, middle, variance = (
        _stored(build, node, index, [usual] * count)
        for index, usual in ((1, 1.0), (2, 0.0), (3, 0.0), (4, 1.0)))
    factors = [a / Fraction(math.sqrt(b + Fraction(epsilon)))
               for a, b in zip(weight, variance, strict=True)]
    summands = [b - m * f for b, m, f in zip(bias, middle, factors, strict=True)]
    dims = len(build.program.traced.graph.nodes[source.name]["shape"])
    _affine(build, name, build.value(source),
            Stored(factors=factors, summands=summands, shape=(count, *[1] * (dims - 2))))


def lower_scaled(build: Builder, node: Node, source: str, factor: Tensor) -> None:
    """Multiplied by stored numbers."""
    factors = [Fraction(each) for each in factor.double().flatten().tolist()]
    _affine(build, node.name, source, Stored(
        factors=factors, summands=[Fraction(0)] * len(factors), shape=tuple(factor.shape)))


def _affine(build: Builder, name: str, source: str, stored: Stored) -> None:
    grid = build.grid(source)
    scale = build.scale(max(abs(factor) * grid.reach + abs(summand) for factor, summand in zip(
        stored.factors, stored.summands, strict=True)))
    dyadic = Dyadic.of([factor * grid.scale / scale for factor in stored.factors], grid.magnitude,
                       shape=stored.shape, device=build.device)
    whole = [math.floor(summand / scale + Fraction(1, 2)) for summand in stored.summands]
    offset = torch.tensor(whole, device=build.device).reshape(stored.shape)
    ends = torch.stack([dyadic(torch.tensor(end, device=build.device)) + offset
                        for end in (grid.low, grid.high)])
    made = Grid(scale=scale, low=int(ends.min()), high=int(ends.max()))
    build.add(name, Affine(dyadic=dyadic, offset=offset, dtype=made.dtype), (source,), made)


def _stored(build: Builder, node: Node, index: int, usual: list[float]) -> list[Fraction]:
    given = argument(node, index)
    if given is not None and given not in build.fixed:
        raise build.refuse(node, "has factors that are computed, not stored")
    values = usual if given is None else build.fixed[given].double().tolist()
    return [Fraction(each) for each in values]


LOWER: dict[str, Callable[[Builder, Node], None]] = {
    "aten.layer_norm.default": lower_layer_norm, "aten.batch_norm.default": lower_batch_norm,
    "aten._native_batch_norm_legit_no_training.default": lower_exported_batch_norm,
}
