"""What runs at one node of a captured graph, as pieces that a table of times has rows for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch.fx import Node

from mpsearch.core.flow import Piece, StepKind, dims
from mpsearch.graph import operations
from mpsearch.graph.execute import Program, Shapes
from mpsearch.graph.sites import Call, Site

Pieces = tuple[Piece, ...]
_KINDS: dict[str, StepKind] = {
    **dict.fromkeys(("softmax", "_softmax", "log_softmax"), "softmax"),
    **dict.fromkeys(("gelu", "relu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh",
                     "hardtanh", "leaky_relu", "elu", "mish", "relu6", "prelu"), "activation"),
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum", "mean", "sum", "pow",
                     "sqrt", "rsqrt", "exp", "clamp", "neg", "abs", "where", "masked_fill"),
                    "arithmetic"),
    **dict.fromkeys(("cat", "stack", "clone", "contiguous", "pad", "constant_pad_nd", "roll",
                     "repeat", "index_select", "reshape", "_unsafe_view", "flatten"), "move"),
}
SOFTMAX = "softmax"
ATTENTION = "attention"


def operation_of(node: Node) -> str:
    """The name of *node*'s operation, without its library and variant: ``layer_norm``."""
    name = str(node.target).split(".")
    return (name[1] if name[0] == "aten" and len(name) > 1 else str(
        getattr(node.target, "__name__", node.target)))


def plain_pieces(program: Program, node: Node, shapes: Shapes, *, view: bool) -> Pieces:
    """The one piece of a *node* that holds no quantisable layer."""
    fixed = {source for source in node.all_input_nodes if source in program.parameters}
    inputs = [shapes.one(source) for source in node.all_input_nodes
              if source not in fixed and source in shapes.shapes]
    made = node if node in shapes.shapes else next(iter(node.users), node)  # one of several results
    output, name = shapes.one(made), operation_of(node)
    in_place = name.endswith("_") and not name.startswith("_")
    kind: StepKind = "view" if view and not in_place else _kind(name.rstrip("_"))
    return (Piece(operation=name, shape=f"{dims(*inputs)}>{dims(output)}", kind=kind,
                  inputs=sum(map(math.prod, inputs)), outputs=math.prod(output)),)


def site_pieces(site: Site, shapes: Shapes,
                weight_shapes: Mapping[str, tuple[int, ...]]) -> tuple[Pieces, Pieces]:
    """The layers at *site*; for fused attention the one operation, and its parts in the open."""
    if len(site.calls) > 1:
        return _attention(site, shapes)
    call = site.calls[0]
    output = shapes.one(site.node)
    first = _shape(site.node, call, "input", shapes)
    if call.parameter is None:
        return (_product(call, first, _shape(site.node, call, "other", shapes), output),), ()
    weight = weight_shapes[call.layer]
    terms = 0 if call.operation.kind == "embedding" else math.prod(weight[1:])
    read = first if call.operation.input is not None else shapes.one(
        operations.argument(site.node, 1))
    return (Piece(operation=call.operation.kind, kind="layer", layer=call.layer,
                  shape=f"{dims(read, weight)}>{dims(output)}", macs=math.prod(output) * terms,
                  inputs=math.prod(read), outputs=math.prod(output),
                  weights=math.prod(weight)),), ()


def _attention(site: Site, shapes: Shapes) -> tuple[Pieces, Pieces]:
    query, key, value = (shapes.one(operations.argument(site.node, i)) for i in range(3))
    output = shapes.one(site.node)
    logits = (*query[:-1], key[-2])
    first, second = site.calls
    products = (_product(first, query, key, logits), _product(second, logits, value, output))
    softmax = Piece(operation=SOFTMAX, kind="softmax", shape=f"{dims(logits)}>{dims(logits)}",
                    inputs=math.prod(logits), outputs=math.prod(logits))
    whole = Piece(operation=ATTENTION, kind="attention",
                  shape=f"{dims(query, key, value)}>{dims(output)}",
                  macs=sum(piece.macs for piece in products), outputs=math.prod(output),
                  inputs=sum(map(math.prod, (query, key, value))))
    return (whole,), (products[0], softmax, products[1])


def _product(call: Call, first: tuple[int, ...], other: tuple[int, ...],
             output: tuple[int, ...]) -> Piece:
    return Piece(operation="matmul", kind="layer", layer=call.layer,
                 shape=f"{dims(first, other)}>{dims(output)}",
                 macs=math.prod(output) * first[-1], outputs=math.prod(output),
                 inputs=math.prod(first) + math.prod(other), others=math.prod(other))


def _shape(node: Node, call: Call, operand: str, shapes: Shapes) -> tuple[int, ...]:
    part = getattr(call.operation, operand)
    return () if part is None else shapes.one(operations.argument(node, part.index))


def _kind(name: str) -> StepKind:
    return "norm" if "norm" in name else _KINDS.get(name, "other")
