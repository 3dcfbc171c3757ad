"""What a layer is, seen from one of its calls: shapes for one sample, MACs and names."""

from __future__ import annotations

import math

from torch.fx import Node

from mpsearch.core.types import LayerSpec
from mpsearch.graph import operations
from mpsearch.graph.execute import Shapes
from mpsearch.graph.orientation import weight_rows
from mpsearch.graph.sites import Call


def make_spec(node: Node, call: Call, shapes: Shapes, names: tuple[str, ...],
              group: str) -> LayerSpec:
    """The layer of *call* at *node*; *names* are its parameter's, *group* its activation group."""
    operands, output = _operand_shapes(node, call, shapes), _output_shape(node, call, shapes)
    stored = shapes.parameters[call.parameter] if call.parameter else None
    return LayerSpec(
        name=call.layer, kind=call.operation.kind, weight=names[0] if names else None,
        weight_shape=None if stored is None else tuple(weight_rows(stored, call.summed).shape),
        input_shape=operands.get("input", ()), other_shape=operands.get("other"),
        output_shape=output, macs=math.prod(output) * _terms(node, call, shapes, operands),
        parameter_group=names[0] if names else call.layer, activation_group=group,
        float_bits=32 if stored is None else stored.element_size() * 8)


def _operand_shapes(node: Node, call: Call, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    parts = {"input": call.operation.input, "other": call.operation.other}
    found = {name: shapes.one(operations.argument(node, part.index))
             for name, part in parts.items() if part is not None}
    if call.operation is operations.PROBABILITY_VALUE:
        found["input"] = (*found["input"][:-1], _keys(node, shapes))
    return found


def _output_shape(node: Node, call: Call, shapes: Shapes) -> tuple[int, ...]:
    if call.operation is operations.QUERY_KEY:
        return (*shapes.one(operations.argument(node, 0))[:-1], _keys(node, shapes))
    return shapes.one(node)


def _keys(node: Node, shapes: Shapes) -> int:
    return shapes.of(operations.argument(node, 1))[-2]


def _terms(node: Node, call: Call, shapes: Shapes, operands: dict[str, tuple[int, ...]]) -> int:
    """Products that each output element sums."""
    if call.operation.kind == "embedding":
        return 0
    if call.operation.weight is None:
        return operands["input"][-1]
    weight = shapes.of(operations.argument(node, call.operation.weight.index))
    return math.prod(weight[axis] for axis in call.operation.weight.summed(len(weight)))
