"""A captured model as a flow: what runs, on which shapes, and which tensors live meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.core.flow import Flow, Step
from mpsearch.graph.execute import Env, Program, Shapes
from mpsearch.graph.groups import input_free
from mpsearch.graph.pieces import Pieces, plain_pieces, site_pieces
from mpsearch.graph.samples import repeat
from mpsearch.graph.storage import Storage


@torch.no_grad()
def find_flow(program: Program, shapes: Shapes, args: tuple[Tensor, ...],
              weight_shapes: Mapping[str, tuple[int, ...]]) -> Flow:
    """Run *program* on a few samples of *args* and note its operations and its tensors' lives.

    *weight_shapes* are those of the layers' weights, output channels first. What depends on the
    parameters alone is left out, but for layers: it can be computed once. A view takes time (of
    whoever dispatches it) and no memory.
    """
    batch = program.traced.batch or 2
    env = program.start(repeat(args, batch))
    fixed = input_free(program.traced.graph)
    storage = Storage(program, batch, shapes)
    steps: list[Step] = []
    places: dict[Node, int] = {}
    for node in program.nodes:
        if node.op == "placeholder":
            storage.given(node, env[node])
    for place, node in enumerate(program.nodes[:-1]):
        before = {source: env[source] for source in node.all_input_nodes if source in env}
        kept: Env = {}
        program.advance(env, place, place + 1, keep=kept)
        if node.op != "call_function" or (node.name in fixed and node not in program.sites):
            continue
        value = kept[node]
        view = storage.made(node, value, before, len(steps))
        if _picked(node) or not isinstance(value, Tensor | tuple | list):
            continue
        pieces, opened = _pieces(program, node, shapes, weight_shapes, view=view)
        alone = storage.read_alone(node)
        after = -1 if alone is None else places.get(alone, -1)
        places[node] = len(steps)
        steps.append(Step(name=node.name, pieces=pieces, opened=opened, after=after))
    return Flow(steps=tuple(steps), tensors=storage.tensors(len(steps) - 1))


def _picked(node: Node) -> bool:
    """Whether *node* only takes one of several results."""
    return getattr(node.target, "__name__", "") == "getitem"


def _pieces(program: Program, node: Node, shapes: Shapes,
            weight_shapes: Mapping[str, tuple[int, ...]], *, view: bool) -> tuple[Pieces, Pieces]:
    site = program.sites.get(node)
    if site is not None:
        return site_pieces(site, shapes, weight_shapes)
    return plain_pieces(program, node, shapes, view=view), ()
