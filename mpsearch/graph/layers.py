"""Find the quantisable layers of a captured graph: names, kinds, shapes, MACs and call sites."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.fx import Node

from mpsearch.core.types import LayerSpec
from mpsearch.graph import operations
from mpsearch.graph.execute import Shapes
from mpsearch.graph.groups import activation_groups, input_free
from mpsearch.graph.operations import Operation
from mpsearch.graph.sites import Call, Site
from mpsearch.graph.trace import Traced

_VIEWS = frozenset({
    "aten.t.default", "aten.transpose.int", "aten.permute.default", "aten.view.default",
    "aten.reshape.default", "aten.slice.Tensor", "aten.select.int", "aten.chunk.default",
    "aten.split.Tensor", "aten.split_with_sizes.default", "aten.unsqueeze.default",
    "aten.unbind.int", "aten.alias.default", "getitem",
})
_TURNS = frozenset({"aten.t.default", "aten.transpose.int", "aten.permute.default"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The layers of a model in order of execution, their call sites, and what stays in float."""

    specs: tuple[LayerSpec, ...]
    sites: tuple[Site, ...]
    left_in_float: tuple[str, ...]

    def call(self, layer: str) -> Call:
        """The first call of *layer*."""
        return next(call for site in self.sites for call in site.calls if call.layer == layer)


def find_layers(traced: Traced, shapes: Shapes) -> Layers:
    """The quantisable layers of *traced*; *shapes* are those of a run on ``shapes.batch`` samples.

    Layers are linear, conv and embedding operations on a stored parameter, matmuls of two
    activations, and the two products inside fused attention. A layer is named after the module
    that owns its parameter (after the parameter itself where that is not a module's ``weight``),
    a matmul after the module it runs in: ``blocks.0.attn.matmul_0``.
    """
    graph = traced.graph
    fixed = input_free(graph)
    numbers: Counter[str] = Counter()
    sites: list[Site] = []
    left: list[str] = []
    for name in graph:
        node, target = graph.nodes[name]["fx"], graph.nodes[name]["target"]
        calls = _calls(traced, node, target, fixed, numbers)
        if calls:
            sites.append(Site(node=node, calls=calls))
        elif calls is None or operations.not_offered(target):
            left.append(f"{graph.nodes[name]['module'] or 'the model'} ({target})")
    groups = activation_groups(graph, {name: node for site in sites for name, node in _reads(site)})
    specs: dict[str, LayerSpec] = {}
    for site in sites:
        for call in site.calls:
            spec = _spec(traced, site, call, shapes, groups.get(call.layer, call.layer))
            known = specs.get(call.layer)
            specs[call.layer] = replace(known, macs=known.macs + spec.macs) if known else spec
    return Layers(specs=tuple(specs.values()), sites=tuple(sites), left_in_float=tuple(left))


def _calls(traced: Traced, node: Node, target: str, fixed: frozenset[str],
           numbers: Counter[str]) -> tuple[Call, ...] | None:
    """Layers that run at *node*: none for other operations, None if it must stay in float."""
    if target == operations.ATTENTION:
        names = [_matmul_name(traced, node, numbers) for _ in range(2)]
        parts = (operations.QUERY_KEY, operations.PROBABILITY_VALUE)
        return tuple(Call(layer=name, operation=part)
                     for name, part in zip(names, parts, strict=True))
    operation = operations.stored(target)
    if operation is not None and operation.weight is not None:
        return _weighted(traced, node, operation, operations.argument(node, operation.weight))
    first = operations.product(target)
    if first is None:
        return ()
    left, right = operations.argument(node, first), operations.argument(node, first + 1)
    if right.name in fixed:
        return _weighted(traced, node, operations.times_weight(first), right)
    if left.name in fixed:
        return None
    return (Call(layer=_matmul_name(traced, node, numbers),
                 operation=operations.times_activation(first)),)


def _weighted(traced: Traced, node: Node, operation: Operation,
              operand: Node) -> tuple[Call, ...] | None:
    path: list[Node] = []
    source = operand
    while source.op == "call_function" and traced.graph.nodes[source.name]["target"] in _VIEWS:
        path.append(source)
        source = source.args[0]  # type: ignore[assignment]
    if source.op != "get_attr":
        return None  # computed, not stored
    turned = sum(traced.graph.nodes[view.name]["target"] in _TURNS for view in path) % 2 == 1
    operation = replace(operation, rows_first=operation.rows_first != turned)
    return (Call(layer=_layer_name(traced, node, source), operation=operation, parameter=source,
                 path=tuple(reversed(path))),)


def _layer_name(traced: Traced, node: Node, parameter: Node) -> str:
    names = traced.parameters[parameter.name]
    owner = f"{traced.graph.nodes[node.name]['module']}.weight".lstrip(".")
    chosen = owner if owner in names else names[0]
    return chosen.removesuffix(".weight")


def _matmul_name(traced: Traced, node: Node, numbers: Counter[str]) -> str:
    module = traced.graph.nodes[node.name]["module"]
    numbers[module] += 1
    return f"{module}.matmul_{numbers[module] - 1}".lstrip(".")


def _reads(site: Site) -> list[tuple[str, str]]:
    reads = []
    for call in site.calls:
        if call.parameter is not None and call.operation.input is not None:
            reads.append((call.layer, operations.argument(site.node, call.operation.input.index).name))
    return reads


def _spec(traced: Traced, site: Site, call: Call, shapes: Shapes, group: str) -> LayerSpec:
    weight: Tensor | None = shapes.parameters.get(call.parameter) if call.parameter else None
    shape = tuple(weight.shape) if weight is not None else None
    if shape is not None and not call.operation.rows_first:
        shape = (*shape[:-2], shape[-1], shape[-2])
    operands = _operand_shapes(site, call, shapes)
    output = shapes.of(site.node)
    is_scores = call.operation is operations.QUERY_KEY
    if is_scores:
        output = (*operands["input"][:-1], operands["other"][-2])
    names = traced.parameters[call.parameter.name] if call.parameter else ()
    return LayerSpec(
        name=call.layer, kind=call.operation.kind, weight=names[0] if names else None,
        weight_shape=shape, input_shape=shapes.one(operands.get("input", ())),
        other_shape=shapes.one(operands["other"]) if "other" in operands else None,
        output_shape=shapes.one(output),
        macs=_macs(call, output, operands, shape) // shapes.batch,
        parameter_group=names[0] if names else call.layer, activation_group=group,
        float_bits=weight.element_size() * 8 if weight is not None else 32,
    )


def _operand_shapes(site: Site, call: Call, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name in ("input", "other"):
        part = getattr(call.operation, name)
        if part is not None:
            found[name] = shapes.of(operations.argument(site.node, part.index))
    if call.operation is operations.PROBABILITY_VALUE:
        keys = shapes.of(operations.argument(site.node, 1))
        found["input"] = (*found["input"][:-1], keys[-2])
    return found


def _macs(call: Call, output: tuple[int, ...], operands: Mapping[str, Any],
          weight: tuple[int, ...] | None) -> int:
    """Multiply-accumulates: every output element sums over the contracted dimensions."""
    kind = call.operation.kind
    if kind == "embedding":
        return 0
    if kind == "matmul":
        return math.prod(output) * int(operands["input"][-1])
    assert weight is not None  # noqa: S101 - the other kinds have one
    return math.prod(output) * math.prod(weight[1:])
