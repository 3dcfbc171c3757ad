"""Which layers read activations that are stored as one."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
from torch.fx import Node

# Operations whose result lies on the same grid as their operands: moving, cutting, clipping.
_SAME_GRID = (
    "getitem", "aten.view", "aten.reshape", "aten._unsafe_view", "aten.flatten", "aten.permute",
    "aten.transpose", "aten.t.", "aten.slice", "aten.select", "aten.unbind", "aten.chunk",
    "aten.split", "aten.expand", "aten.unsqueeze", "aten.squeeze", "aten.clone", "aten.contiguous",
    "aten.roll", "aten.pad", "aten.constant_pad", "aten.dropout", "aten.relu", "aten.hardtanh",
    "aten.clamp", "aten.max_pool", "aten.adaptive_max_pool", "aten.alias", "aten.detach",
    "aten.pixel_shuffle", "aten.flip", "aten.repeat", "aten.narrow", "aten.unflatten",
    "aten.movedim", "aten.swapaxes", "aten.masked_fill.Scalar", "aten.index_select",
)
# Operations whose operands must lie on one grid to be joined as integers.
_MEETING = ("aten.add.Tensor", "aten.add_.Tensor", "aten.cat", "aten.stack", "aten.sub.Tensor",
            "aten.maximum", "aten.where")


def activation_groups(graph: nx.DiGraph, reads: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each layer in *reads* (a layer and a node it reads), the name of its activation group.

    Two layers are in one group when they read the same tensor, or tensors that meet in an
    addition or a concatenation, directly or through operations that keep a tensor's grid: an
    integer runtime stores such tensors with one scale. A layer that runs several times quantizes
    all that it reads in one way. The group is named after its first layer.
    """
    fixed = input_free(graph)
    same = nx.Graph()
    for name, data in graph.nodes(data=True):
        if data["target"].startswith((*_SAME_GRID, *_MEETING)):
            same.add_edges_from((name, source) for source in _joined(graph, name)
                                if source not in fixed and graph.nodes[source]["shape"] is not None)
    layers: dict[str, tuple[str, str]] = {}
    for layer, node in reads:
        layers[layer] = ("layer", layer)  # a node of its own beside those of the graph
        same.add_edge(layers[layer], node)
    component = {name: number for number, members in enumerate(nx.connected_components(same))
                 for name in members}
    first: dict[int, str] = {}
    return {layer: first.setdefault(component[node], layer) for layer, node in layers.items()}


def _joined(graph: nx.DiGraph, name: str) -> list[str]:
    """Operands of the operation *name* whose numbers, not only truth values, go into its result."""
    if not graph.nodes[name]["target"].startswith("aten.where"):
        return list(graph.predecessors(name))
    return [operand.name for operand in graph.nodes[name]["fx"].args[1:]
            if isinstance(operand, Node)]


def input_free(graph: nx.DiGraph) -> frozenset[str]:
    """Operations that do not depend on the model's inputs: parameters and what is made of them."""
    inputs = [name for name, data in graph.nodes(data=True) if data["fx"].op == "placeholder"]
    reached = set(inputs).union(*(nx.descendants(graph, name) for name in inputs))
    return frozenset(set(graph) - reached)
