"""Units of a residual branch that can be taken out whole: hidden units and attention heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch.fx import Node

from mpsearch.core.types import LayerSpec
from mpsearch.graph import operations
from mpsearch.graph.branches import Branch, Narrowing
from mpsearch.graph.execute import Shapes
from mpsearch.graph.heads import find_heads
from mpsearch.graph.sites import Site
from mpsearch.graph.trace import Traced

_MATRIX = 2
_BY_ELEMENT = tuple(f"aten.{name}." for name in (
    "gelu", "relu", "silu", "hardswish", "hardtanh", "leaky_relu", "elu", "mish", "softplus",
    "sigmoid", "tanh", "relu6", "dropout", "clone", "contiguous", "alias", "detach"))


def find_narrowing(traced: Traced, shapes: Shapes, sites: Sequence[Site], branch: Branch,
                   specs: Mapping[str, LayerSpec]) -> Narrowing | None:
    """How *branch* can do with fewer units, None where it cannot.

    Either it is two linear layers with nothing between them but functions of single elements, or
    attention whose heads come together in one linear layer.
    """
    own = [site for site in sites if site.node.name in branch.inside]
    parameters = [call.parameter for site in own for call in site.calls if call.parameter]
    if len(set(parameters)) < len(parameters):
        return None  # a weight that is used twice would have to shrink in two ways
    if any(len(shape) != _MATRIX for layer in branch.layers
           if (shape := specs[layer].weight_shape) is not None):
        return None
    linear = [site for site in own if specs[site.layers[0]].kind == "linear"]
    if len(linear) == len(own) == _MATRIX:
        return _hidden(traced, linear, specs)
    return find_heads(traced, shapes, own, branch)


def _hidden(traced: Traced, linear: Sequence[Site],
            specs: Mapping[str, LayerSpec]) -> Narrowing | None:
    first, second = linear
    operand = second.calls[0].operation.input
    assert operand is not None  # noqa: S101 - a linear layer has an input
    node = operations.argument(second.node, operand.index)
    while node is not first.node:
        if not _target(traced, node).startswith(_BY_ELEMENT) or len(node.users) > 1:
            return None
        node = node.args[0]
    units = specs[first.layers[0]].weight_shape
    if units is None or len(node.users) > 1 or specs[second.layers[0]].weight_shape is None:
        return None
    numbers = tuple(range(units[0]))
    return Narrowing(kind="mlp", units=units[0], rows={first.layers[0]: numbers},
                     columns={second.layers[0]: numbers})


def _target(traced: Traced, node: Node) -> str:
    return str(traced.graph.nodes[node.name]["target"])
