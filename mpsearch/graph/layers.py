"""Find the quantisable layers of a captured graph: names, kinds, shapes, MACs and call sites."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from torch.fx import Node

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Kind, LayerSpec
from mpsearch.graph import operations
from mpsearch.graph.branches import Branch, find_branches, with_branches
from mpsearch.graph.execute import Join, Shapes
from mpsearch.graph.groups import activation_groups, input_free
from mpsearch.graph.narrowing import find_narrowing
from mpsearch.graph.operations import Operation
from mpsearch.graph.orientation import summed_dims
from mpsearch.graph.sites import Call, Site
from mpsearch.graph.specs import make_spec
from mpsearch.graph.trace import Traced

_MOVES = frozenset({
    "aten.t.default", "aten.numpy_T.default", "aten.mT.default", "aten.transpose.int",
    "aten.swapaxes.default", "aten.permute.default", "aten.movedim.int", "aten.view.default",
    "aten.reshape.default", "aten._unsafe_view.default", "aten.flatten.using_ints",
    "aten.unflatten.int", "aten.slice.Tensor", "aten.narrow.default", "aten.select.int",
    "aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default",
    "aten.unbind.int", "aten.unsqueeze.default", "aten.squeeze.default", "aten.squeeze.dim",
    "aten.squeeze.dims", "aten.alias.default", "aten.detach.default", "aten.clone.default",
    "aten.contiguous.default", "getitem",
})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The layers of a model in order of execution, their call sites, and what stays in float.

    *branches* are the residual branches that can be left out or narrowed.
    """

    specs: tuple[LayerSpec, ...]
    sites: tuple[Site, ...]
    left_in_float: tuple[str, ...]
    branches: tuple[Branch, ...] = ()

    def call(self, layer: str) -> Call:
        """The first call of *layer*.

        Raises:
            BadInput: the model has no such layer.
        """
        for site in self.sites:
            for call in site.calls:
                if call.layer == layer:
                    return call
        raise BadInput(f"the model has no layer '{layer}': this is a policy for another model")

    def branch(self, layer: str) -> Branch | None:
        """The residual branch that *layer* is in, if it can be left out."""
        return next((branch for branch in self.branches if layer in branch.layers), None)

    @property
    def joins(self) -> dict[Node, Join]:
        """Where each branch is added, and the layer it goes by there: its first."""
        return {branch.join: (branch.layers[0], branch.operand) for branch in self.branches}


def find_layers(traced: Traced, shapes: Shapes) -> Layers:
    """The quantisable layers of *traced*, whose tensors have *shapes*.

    Layers are linear, conv and embedding operations on a stored parameter, matmuls of two
    activations, and the two products inside fused attention. A layer is named after the module
    that owns its parameter (after the parameter itself where that is not a module's ``weight``),
    a matmul after the module it runs in: ``blocks.0.attn.matmul_0``. A parameter that is used in
    another way as well makes two layers: ``tokens`` the embedding and ``tokens.linear``.
    """
    finder = _Finder(traced, shapes)
    for name in traced.graph:
        finder.visit(traced.graph.nodes[name]["fx"])
    reads = [read for site in finder.sites for read in _reads(site)]
    groups = activation_groups(traced.graph, reads)
    specs: dict[str, LayerSpec] = {}
    for site in finder.sites:
        for call in site.calls:
            names = traced.parameters[call.parameter.name] if call.parameter else ()
            spec = make_spec(site.node, call, shapes, names, groups.get(call.layer, call.layer))
            known = specs.get(call.layer)
            specs[call.layer] = replace(known, macs=known.macs + spec.macs) if known else spec
    branches = tuple(
        replace(branch, narrowing=find_narrowing(traced, shapes, finder.sites, branch, specs))
        for branch in find_branches(traced, shapes, finder.sites, specs))
    return Layers(specs=with_branches(tuple(specs.values()), branches),
                  sites=tuple(finder.sites), left_in_float=tuple(finder.left), branches=branches)


class _Finder:
    """Goes through the operations in order and notes the sites, and what must stay in float."""

    def __init__(self, traced: Traced, shapes: Shapes) -> None:
        self.traced, self.shapes = traced, shapes
        self.sites: list[Site] = []
        self.left: list[str] = []
        self._fixed = input_free(traced.graph)
        self._matmuls: Counter[str] = Counter()
        self._kinds: dict[str, Kind] = {}
        self._summed: dict[Node, tuple[int, ...]] = {}

    def visit(self, node: Node) -> None:
        """Note the layers that run at *node*, if any."""
        calls = self._calls(node)
        if calls:
            self.sites.append(Site(node=node, calls=calls))
        elif calls is None or operations.not_offered(node, self._target(node)):
            self.left.append(f"{self._module(node) or 'the model'} ({self._target(node)})")

    def _calls(self, node: Node) -> tuple[Call, ...] | None:
        """Layers that run at *node*: none for other operations, None if it must stay in float."""
        target = self._target(node)
        if target == operations.ATTENTION:
            return tuple(Call(layer=self._matmul_name(node), operation=part)
                         for part in (operations.QUERY_KEY, operations.PROBABILITY_VALUE))
        operation = operations.stored(target)
        if operation is not None:
            return self._weighted(node, operation)
        first = operations.product(target)
        if first is None:
            return ()
        if operations.argument(node, first + 1).name in self._fixed:
            return self._weighted(node, operations.times_weight(first))
        if operations.argument(node, first).name in self._fixed:
            return None
        return (Call(layer=self._matmul_name(node), operation=operations.times_activation(first)),)

    def _weighted(self, node: Node, operation: Operation) -> tuple[Call, ...] | None:
        assert operation.weight is not None  # noqa: S101 - it is about a stored weight
        operand = source = operations.argument(node, operation.weight.index)
        path: list[Node] = []
        while source.op == "call_function" and self._target(source) in _MOVES:
            path.insert(0, source)
            source = source.args[0]
        if source.op != "get_attr":
            return None  # computed, not stored
        summed = self._summed.get(source)
        if summed is None:
            axes = operation.weight.summed(len(self.shapes.of(operand)))
            summed = summed_dims(self.shapes.of(source), path, axes)
        if summed is None:
            return None
        self._summed[source] = summed
        return (Call(layer=self._layer_name(node, source, operation.kind), operation=operation,
                     parameter=source, path=tuple(path), summed=summed),)

    def _layer_name(self, node: Node, parameter: Node, kind: Kind) -> str:
        names = self.traced.parameters[parameter.name]
        owner = f"{self._module(node)}.weight".lstrip(".")
        name = (owner if owner in names else names[0]).removesuffix(".weight")
        return name if self._kinds.setdefault(name, kind) == kind else f"{name}.{kind}"

    def _matmul_name(self, node: Node) -> str:
        module = self._module(node)
        self._matmuls[module] += 1
        return f"{module}.matmul_{self._matmuls[module] - 1}".lstrip(".")

    def _target(self, node: Node) -> str:
        return str(self.traced.graph.nodes[node.name]["target"])

    def _module(self, node: Node) -> str:
        return str(self.traced.graph.nodes[node.name]["module"])


def _reads(site: Site) -> list[tuple[str, str]]:
    """The layers at *site* that have a weight, with the node each one's input is from."""
    return [(call.layer, operations.argument(site.node, call.operation.input.index).name)
            for call in site.calls
            if call.parameter is not None and call.operation.input is not None]
