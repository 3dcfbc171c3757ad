"""Every piece of a model with the values that go into it, from one run of the float model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.fx.node import map_arg

from mpsearch.backends.timing import Place
from mpsearch.core.errors import BadInput
from mpsearch.core.flow import Flow, Piece, Step
from mpsearch.core.types import SearchSpace
from mpsearch.fakequant.keys import Ranges
from mpsearch.graph.samples import repeat
from mpsearch.steps.capture import Captured

Key = tuple[str, str]
"""Operation and shape."""


@torch.no_grad()
def find_places(captured: Captured, flow: Flow, space: SearchSpace, ranges: Ranges,
                args: tuple[Tensor, ...], batch: int) -> dict[Key, Place]:
    """The first place of each operation and shape of *flow*, on *batch* samples of *args*.

    Raises:
        BadInput: the captured graph takes another number of samples only.
    """
    program = captured.program
    if program.traced.batch not in {None, batch}:
        raise BadInput(f"this model was captured for batches of {program.traced.batch}: profile it "
                       f"with --batch {program.traced.batch}")
    wanted: dict[str, list[tuple[Step, Piece]]] = {}
    for step, piece in flow.pieces(space):
        wanted.setdefault(step.name, []).append((step, piece))
    env = program.start(repeat(args, batch))
    found: dict[Key, Place] = {}
    for place, node in enumerate(program.nodes[:-1]):
        pieces = wanted.get(node.name, [])
        if any((piece.operation, piece.shape) not in found for _, piece in pieces):
            given = map_arg(node.args, lambda source: env[source])
            named = map_arg(node.kwargs, lambda source: env[source])
            site = program.sites.get(node)
            shared = {"fake": captured.fake, "ranges": ranges}
            if len(pieces) > 1:
                made = _opened([piece for _, piece in pieces], site, given, named, shared)
            else:
                call = site.calls[0] if site and len(site.calls) == 1 else None
                made = [Place(piece=pieces[0][1], target=node.target, args=given,  # type: ignore[arg-type]
                              kwargs=named, site=site if call else None, call=call, **shared)]
            for each in made:
                found.setdefault((each.piece.operation, each.piece.shape), each)
        program.advance(env, place, place + 1)
    return found


def _opened(pieces: list[Piece], site: object, args: tuple[Tensor, ...],
            named: Mapping[str, object], shared: Mapping[str, object]) -> list[Place]:
    """The parts of fused attention: both products and the softmax between them."""
    query, key, value = args[:3]
    if named.get("enable_gqa"):
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (each.repeat_interleave(repeats, -3) for each in (key, value))
    logits = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    calls = site.calls  # type: ignore[attr-defined]
    parts = (((query, key), calls[0], True), ((logits,), None, False),
             ((logits.softmax(-1), value), calls[1], False))
    return [Place(piece=piece, target=None, args=operands, call=call, transposed=turned, **shared)  # type: ignore[arg-type]
            for piece, (operands, call, turned) in zip(pieces, parts, strict=True)]
