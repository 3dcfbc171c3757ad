"""Residual branches: what is added to a stream that goes on without it, found by structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import networkx as nx
from torch.fx import Node

from mpsearch.core.types import LayerSpec, Narrows
from mpsearch.graph.execute import Shapes
from mpsearch.graph.groups import input_free
from mpsearch.graph.sites import Site
from mpsearch.graph.trace import Traced

_ADD = "aten.add.Tensor"
_OPERANDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """How a branch does with fewer of its *units*, attention heads or hidden units of an MLP.

    *rows* and *columns* give, for layers that make or read the units, the unit of every row or
    column of the weight (output channels first); *heads* are the products that run once a head.
    The one layer of *columns* is where the units come together: without its columns, they are
    gone.
    """

    kind: str
    units: int
    rows: Mapping[str, tuple[int, ...]]
    columns: Mapping[str, tuple[int, ...]]
    heads: tuple[str, ...] = ()

    def of(self, layer: str) -> Narrows:
        """What shrinks in *layer*."""
        if layer in self.heads:
            return "heads"
        return "rows" if layer in self.rows else "columns" if layer in self.columns else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The *layers* that only the addition at *join* needs, as its argument number *operand*.

    Without that argument the addition passes on what came before the branch, unchanged.
    """

    name: str
    layers: tuple[str, ...]
    join: Node
    operand: int
    inside: frozenset[str] = field(repr=False)
    narrowing: Narrowing | None = None


def find_branches(traced: Traced, shapes: Shapes, sites: Sequence[Site],
                  specs: Mapping[str, LayerSpec]) -> tuple[Branch, ...]:
    """The residual branches of *traced* that hold layers with weights and no other branch.

    An addition of two tensors of one shape is a residual one if all that reaches one of them goes
    through the other, and nothing else reads what lies between. A branch is left out of account
    if one of its layers also runs, or shares its weight with one that runs, elsewhere.
    """
    found: list[Branch] = []
    taken: set[str] = set()
    for join, operand, inside in _residual(traced, shapes):
        if any(each.join.name in inside for each in found):
            continue  # the branch within is the one to decide on
        layers = tuple(dict.fromkeys(layer for site in sites if site.node.name in inside
                                     for layer in site.layers))
        if _own(layers, inside, sites, specs) and not taken.intersection(layers):
            name = _name(layers, {each.name for each in found})
            found.append(Branch(name=name, layers=layers, join=join, operand=operand,
                                inside=inside))
            taken.update(layers)
    return tuple(found)


def with_branches(specs: Sequence[LayerSpec], branches: Sequence[Branch]) -> tuple[LayerSpec, ...]:
    """The layers, each with the branch that it is in and what it loses when that narrows."""
    home = {layer: branch for branch in branches for layer in branch.layers}
    made = []
    for spec in specs:
        branch = home.get(spec.name)
        narrowing = branch.narrowing if branch else None
        made.append(spec if branch is None else replace(
            spec, branch=branch.name, units=narrowing.units if narrowing else 0,
            narrows=narrowing.of(spec.name) if narrowing else ""))
    return tuple(made)


def _residual(traced: Traced, shapes: Shapes) -> Iterator[tuple[Node, int, frozenset[str]]]:
    """Every residual addition, which argument its branch is, and the operations in that."""
    graph, fixed = traced.graph, input_free(traced.graph)
    live = graph.subgraph(name for name, data in graph.nodes(data=True)
                          if name not in fixed and data["shape"] is not None)
    for name, data in graph.nodes(data=True):
        node = data["fx"]
        if data["target"] != _ADD or name not in live or node.kwargs:
            continue
        operands = [each for each in node.args if isinstance(each, Node) and each.name in live]
        if len(operands) != _OPERANDS or shapes.of(operands[0]) != shapes.of(operands[1]):
            continue
        for operand in range(_OPERANDS):
            inside = _between(live, operands[1 - operand].name, operands[operand].name, name)
            if inside:
                yield node, operand, inside
                break


def _between(live: nx.DiGraph, stream: str, branch: str, join: str) -> frozenset[str]:
    """The operations from *stream* to *branch*; none if the branch is not between the two alone."""
    before = nx.ancestors(live, stream) | {stream}
    inside = (nx.ancestors(live, branch) | {branch}) - before
    closed = all(live.nodes[name]["fx"].op == "call_function"
                 and set(live.predecessors(name)) <= inside | {stream}
                 and set(live.successors(name)) <= inside | {join} for name in inside)
    return frozenset(inside) if closed else frozenset()


def _own(layers: tuple[str, ...], inside: frozenset[str], sites: Sequence[Site],
         specs: Mapping[str, LayerSpec]) -> bool:
    """Whether *layers*, with a weight among them, run in this branch alone."""
    elsewhere = [specs[layer] for site in sites if site.node.name not in inside
                 for layer in site.layers]
    shared = {spec.name for spec in elsewhere} | {spec.parameter_group for spec in elsewhere}
    own = [specs[layer] for layer in layers]
    return any(spec.weight for spec in own) and not any(
        {spec.name, spec.parameter_group} & shared for spec in own)


def _name(layers: tuple[str, ...], used: set[str]) -> str:
    """The module that all *layers* are in, or else the first of them, as a name of its own."""
    paths = [layer.split(".") for layer in layers]
    common: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    name = ".".join(common) or layers[0]
    while name in used:
        name += "+"
    return name
