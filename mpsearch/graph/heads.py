"""Attention heads: which channels of the layers around attention belong to which of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from mpsearch.graph import operations
from mpsearch.graph.branches import Branch, Narrowing
from mpsearch.graph.execute import ANY_STRIDES, Shapes
from mpsearch.graph.sites import Site
from mpsearch.graph.trace import Traced

_HEADS = -3
_FEWEST_DIMS = 4
_MOVING = ("getitem", *(f"aten.{name}." for name in (
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "permute", "transpose", "t",
    "slice", "select", "unbind", "chunk", "split", "split_with_sizes", "expand", "unsqueeze",
    "squeeze", "clone", "contiguous", "movedim", "swapaxes", "alias", "detach", "dropout")))
_WITHIN = tuple(f"aten.{name}." for name in (
    "add", "sub", "mul", "div", "dropout", "masked_fill", "clone", "alias",
    "where", "to", "_to_copy", "contiguous", "detach"))
_SCALING = tuple(f"aten.{name}." for name in ("mul", "div", "layer_norm", "rms_norm"))


def find_heads(traced: Traced, shapes: Shapes, sites: Sequence[Site],
               branch: Branch) -> Narrowing | None:
    """The heads of the attention that makes up *branch*, None if it is made otherwise.

    Channels are followed through the operations that only move them (or scale, or normalise
    within a head): from the layers before attention to its operands, and from its output to the
    layer after it.
    """
    seen = _Heads(traced, shapes, branch, {site.node: site for site in sites})
    products = seen.products()
    linear = [site for site in sites if site.calls[0].parameter is not None]
    if not products or len(linear) + len(products) != len(sites):
        return None
    out = products[-1].node
    shape = shapes.of(out)
    if len(shape) < _FEWEST_DIMS:
        return None
    heads = shape[_HEADS]
    numbers = torch.arange(heads).view(heads, 1, 1).expand(shape)
    columns = dict(seen.columns(out, numbers))
    rows = {site.layers[0]: seen.rows(site, products, heads) for site in linear
            if site.layers[0] not in columns}
    if len(columns) != 1 or not rows or None in columns.values() or None in rows.values():
        return None
    kept = {layer: labels for layer, labels in rows.items() if labels is not None}
    return Narrowing(kind="heads", units=heads, rows=kept,
                     columns={layer: labels for layer, labels in columns.items() if labels},
                     heads=tuple(layer for site in products for layer in site.layers))


class _Heads:
    """The attention inside one branch."""

    def __init__(self, traced: Traced, shapes: Shapes, branch: Branch,
                 sites: Mapping[Node, Site]) -> None:
        self.traced, self.shapes, self.branch, self.sites = traced, shapes, branch, sites

    def products(self) -> list[Site]:
        """Fused attention, or its two products with nothing between them that mixes heads."""
        found = [site for site in self.sites.values() if site.calls[0].parameter is None]
        if len(found) == 1 and len(found[0].calls) > 1:
            return found
        if len(found) != 2 or any(len(site.calls) > 1 for site in found):  # noqa: PLR2004
            return []
        first, second = found
        reached = {first.node}
        for node in self._after(first.node):
            if node is second.node:
                break
            if not self._within_heads(node) or self.shapes.of(node) != self.shapes.of(first.node):
                return []
            reached.add(node)
        inputs = [operations.argument(second.node, part.index) for part in (
            second.calls[0].operation.input,) if part is not None]
        return found if set(inputs) <= reached else []

    def columns(self, out: Node, labels: Tensor) -> Iterator[tuple[str, tuple[int, ...] | None]]:
        """Layers that read attention's output, with the head of every input channel."""
        for node, value in self._followed(out, labels):
            site = self.sites.get(node)
            if site is not None and site.calls[0].parameter is not None:
                yield site.layers[0], _constant(value)
            else:
                yield str(node), None

    def rows(self, site: Site, products: Sequence[Site], heads: int) -> tuple[int, ...] | None:
        """The head that every output channel of the layer at *site* goes into."""
        shape = self.shapes.of(site.node)
        channels = torch.arange(shape[-1]).expand(shape)
        into = {product.node for product in products}
        head_of: dict[int, int] = {}
        for node, value in self._followed(site.node, channels):
            if node not in into or value.dim() < _FEWEST_DIMS or value.shape[_HEADS] != heads:
                return None
            for head in range(heads):
                for channel in set(value.select(_HEADS, head).flatten().tolist()):
                    if head_of.setdefault(channel, head) != head:
                        return None
        even = len(head_of) == shape[-1] and shape[-1] % heads == 0
        labels = tuple(head_of.get(channel, -1) for channel in range(shape[-1]))
        each = shape[-1] // heads
        return labels if even and all(labels.count(head) == each for head in range(heads)) else None

    def _followed(self, start: Node, value: Tensor) -> Iterator[tuple[Node, Tensor]]:
        """Where what *start* makes is read by something that does more than move it."""
        values: dict[Node, Any] = {start: value}
        for node in self._after(start):
            sources = [source for source in node.all_input_nodes if source in values]
            if not sources:
                continue
            if node in self.sites or len(sources) > 1 or node.name not in self.branch.inside:
                yield from ((node, values[source]) for source in sources)
            else:
                made = self._moved(node, sources[0], values[sources[0]])
                if made is None:
                    yield node, values[sources[0]]
                else:
                    values[node] = made

    def _moved(self, node: Node, source: Node, value: Any) -> Any:
        target = self._target(node)
        if target.startswith(_MOVING):
            args = map_arg(node.args, lambda each: value if each is source
                           else self.shapes.counts.get(each, (None,))[0])
            move = ANY_STRIDES.get(node.target, node.target)
            return move(*args, **node.kwargs)
        same = bool(self.shapes.of(node) == self.shapes.of(source) and node.args[0] is source)
        if "_norm." in target:  # of one head's channels, not of all
            same = same and bool(node.args[1] == [self._width()])
        return value if target.startswith(_SCALING) and same else None

    def _width(self) -> int:
        """Channels of a head, as its queries have them."""
        first = self.products()[0]
        operand = first.calls[0].operation.input
        assert operand is not None  # noqa: S101 - a product has two
        return self.shapes.of(operations.argument(first.node, operand.index))[-1]

    def _within_heads(self, node: Node) -> bool:
        """Whether no head's result depends on another head."""
        target = self._target(node)
        if "softmax." in target:
            return node.args[1] in (-1, len(self.shapes.of(node)) - 1)
        return target.startswith(_WITHIN)

    def _after(self, start: Node) -> list[Node]:
        """The operations of the branch after *start* that depend on it, and the join."""
        nodes = list(self.traced.program.graph.nodes)
        reached = {start}
        for node in nodes[nodes.index(start) + 1:]:
            here = node.name in self.branch.inside or node is self.branch.join
            if here and not reached.isdisjoint(node.all_input_nodes):
                reached.add(node)
        return [node for node in nodes if node in reached and node is not start]

    def _target(self, node: Node) -> str:
        return str(self.traced.graph.nodes[node.name]["target"])


def _constant(labels: Tensor) -> tuple[int, ...] | None:
    """The label of every entry of the last dimension, None where it is not the same elsewhere."""
    flat = labels.reshape(-1, labels.shape[-1])
    return tuple(flat[0].tolist()) if bool((flat == flat[0]).all()) else None
