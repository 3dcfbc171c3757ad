"""Which layers read activations that are stored as one."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx

# Operations whose result lies on the same grid as their operands: moving, cutting, clipping.
_SAME_GRID = (
    "getitem", "aten.view", "aten.reshape", "aten._unsafe_view", "aten.flatten", "aten.permute",
    "aten.transpose", "aten.t.", "aten.slice", "aten.select", "aten.unbind", "aten.chunk",
    "aten.split", "aten.expand", "aten.unsqueeze", "aten.squeeze", "aten.clone", "aten.contiguous",
    "aten.roll", "aten.pad", "aten.constant_pad", "aten.dropout", "aten.relu", "aten.hardtanh",
    "aten.clamp", "aten.max_pool", "aten.alias", "aten.detach",
)
# Operations whose operands must lie on one grid to be joined as integers.
_MEETING = ("aten.add.Tensor", "aten.add_.Tensor", "aten.cat", "aten.stack", "aten.sub.Tensor",
            "aten.maximum", "aten.where")


def activation_groups(graph: nx.DiGraph, reads: Mapping[str, str]) -> dict[str, str]:
    """For each layer in *reads* (layer to the node it reads), the name of its activation group.

    Two layers are in one group when they read the same tensor, or tensors that meet in an
    addition or a concatenation, directly or through operations that keep a tensor's grid: an
    integer runtime stores such tensors with one scale. The group is named after its first layer.
    """
    fixed = input_free(graph)
    same = nx.Graph()
    same.add_nodes_from(graph)
    for name, data in graph.nodes(data=True):
        if data["target"].startswith((*_SAME_GRID, *_MEETING)):
            same.add_edges_from((name, source) for source in graph.predecessors(name)
                                if source not in fixed and graph.nodes[source]["shape"] is not None)
    component = {name: number for number, members in enumerate(nx.connected_components(same))
                 for name in members}
    first: dict[int, str] = {}
    return {layer: first.setdefault(component[node], layer) for layer, node in reads.items()}


def input_free(graph: nx.DiGraph) -> frozenset[str]:
    """Operations that do not depend on the model's inputs: parameters and what is made of them."""
    inputs = [name for name, data in graph.nodes(data=True) if data["fx"].op == "placeholder"]
    reached = set(inputs).union(*(nx.descendants(graph, name) for name in inputs))
    return frozenset(set(graph) - reached)
