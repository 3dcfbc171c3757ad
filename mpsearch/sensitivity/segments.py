"""Where to cut a backward pass, so that the activations it keeps fit into memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch.fx import Node

from mpsearch.graph.execute import Program, Shapes

_ELEMENT = 4  # bytes; models in half precision are computed on in single where it matters
_WORKSPACE = 6  # tensors of the size of the largest output, for the changes of one layer
_MOST_SEGMENTS = 32
_VIEWS = ("getitem", "aten.view", "aten.permute", "aten.transpose", "aten.expand", "aten.slice",
          "aten.unsqueeze", "aten.squeeze", "aten.select", "aten.t.", "aten.split", "aten.unbind",
          "aten.chunk", "aten.alias", "aten.detach", "aten._unsafe_view", "aten.reshape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """So many samples at a time, the program cut at *cuts* (first and last position included)."""

    samples: int
    cuts: tuple[int, ...]
    bytes: int


def plan(program: Program, shapes: Shapes, samples: int, memory: int) -> Plan:
    """The fewest segments, then the most samples, whose activations fit into *memory* bytes.

    A segment more costs a part of a second forward pass; fewer samples at a time cost quantizing
    the weights again. Where nothing fits, the smallest of all plans is returned.
    """
    smallest: Plan | None = None
    while True:
        # A graph of fixed batch size runs whole however few samples are real.
        own = program.traced.batch or samples
        sizes = [_bytes(node, shapes, own, str(program.traced.graph.nodes[node.name]["target"]))
                 for node in program.nodes]
        for count in range(1, _MOST_SEGMENTS + 1):
            found = _divided(program, shapes, sizes, samples, count)
            if smallest is None or found.bytes < smallest.bytes:
                smallest = found
            if found.bytes <= memory:
                return found
        if samples == 1 or program.traced.batch:
            return smallest  # type: ignore[return-value] # set in the first round
        samples = -(-samples // 2)


def _divided(program: Program, shapes: Shapes, sizes: Sequence[int], samples: int,
             count: int) -> Plan:
    """A cut into *count* segments of nearly equal size, and the bytes it holds at most."""
    share, cuts, held = sum(sizes) / count, [0], 0
    for place, size in enumerate(sizes):
        if held + size > share and held and len(cuts) < count and _may_cut(program, shapes, place):
            cuts.append(place)
            held = 0
        held += size
    cuts.append(len(sizes))
    own = dict(zip(program.nodes, sizes, strict=True))
    kept = sum(own[node] for cut in cuts[1:-1] for node in program.live(cut))
    largest = max(sum(sizes[a:b]) for a, b in pairwise(cuts))
    return Plan(samples=samples, cuts=tuple(cuts),
                bytes=kept + largest + _WORKSPACE * max(sizes))


def _may_cut(program: Program, shapes: Shapes, place: int) -> bool:
    # Several tensors that one operation made are taken apart within a segment.
    return all(node.op == "placeholder" or node in shapes.shapes or not _several(node)
               for node in program.live(place))


def _several(node: Node) -> bool:
    return isinstance(node.meta.get("val"), tuple | list)


def _bytes(node: Node, shapes: Shapes, samples: int, target: str) -> int:
    if node.op != "call_function" or target.startswith(_VIEWS):
        return 0
    size = math.prod(shapes.of(node)) * _ELEMENT if node in shapes.shapes else 0
    return size * samples // shapes.batch if shapes.sample_axes.get(node) else size
