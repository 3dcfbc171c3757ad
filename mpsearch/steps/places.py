"""Every piece of a model with the values that go into it, from one run of the float model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from mpsearch.backends.timing import Place
from mpsearch.core.errors import BadInput
from mpsearch.core.flow import Flow, Piece
from mpsearch.fakequant.keys import Ranges
from mpsearch.graph.execute import Env
from mpsearch.graph.samples import repeat
from mpsearch.graph.sites import Site
from mpsearch.steps.capture import Captured
from mpsearch.steps.record import StudyRecord

Key = tuple[str, str]
"""Operation and shape."""


@torch.no_grad()
def find_places(captured: Captured, flow: Flow, record: StudyRecord, args: tuple[Tensor, ...],
                batch: int) -> dict[Key, Place]:
    """The first place of each operation and shape of *flow*, on *batch* samples of *args*.

    Raises:
        BadInput: the captured graph takes another number of samples only.
    """
    program = captured.program
    if program.traced.batch not in {None, batch}:
        raise BadInput(f"this model was captured for batches of {program.traced.batch}: profile it "
                       f"with --batch {program.traced.batch}")
    wanted: dict[str, list[Piece]] = {}
    for step, piece in flow.pieces(record.space):
        wanted.setdefault(step.name, []).append(piece)
    env = program.start(repeat(args, batch))
    found: dict[Key, Place] = {}
    for number, node in enumerate(program.nodes[:-1]):
        pieces = wanted.get(node.name, [])
        if any((piece.operation, piece.shape) not in found for piece in pieces):
            for place in _places(captured, record.ranges, node, pieces, env):
                found.setdefault((place.piece.operation, place.piece.shape), place)
        program.advance(env, number, number + 1)
    return found


def _places(captured: Captured, ranges: Ranges, node: Node, pieces: list[Piece],
            env: Env) -> list[Place]:
    given: Any = map_arg(node.args, lambda source: env[source])
    named: Any = map_arg(node.kwargs, lambda source: env[source])
    site, target = captured.program.sites.get(node), node.target
    shared: dict[str, Any] = {"fake": captured.fake, "ranges": ranges}
    if site is not None and len(pieces) > 1:
        return _opened(pieces, site, given, named, shared)
    assert callable(target)  # noqa: S101 - what a flow runs are calls of functions
    call = site.calls[0] if site and len(site.calls) == 1 else None
    return [Place(piece=pieces[0], target=target, args=given, kwargs=named,
                  site=site if call else None, call=call, **shared)]


def _opened(pieces: list[Piece], site: Site, args: tuple[Tensor, ...],
            named: Mapping[str, Any], shared: dict[str, Any]) -> list[Place]:
    """The parts of fused attention: both products and the softmax between them."""
    query, key, value = args[:3]
    if named.get("enable_gqa"):
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (each.repeat_interleave(repeats, -3) for each in (key, value))
    logits = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    calls = site.calls
    parts: Any = (((query, key), calls[0], True), ((logits,), None, False),
             ((logits.softmax(-1), value), calls[1], False))
    return [Place(piece=piece, target=None, args=operands, call=call, transposed=turned, **shared)
            for piece, (operands, call, turned) in zip(pieces, parts, strict=True)]
