"""Sums, concatenations, stored factors, and what only moves numbers, in integers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.backends.integer_only.builder import Builder
from mpsearch.backends.integer_only.grid import Grid
from mpsearch.backends.integer_only.lower_norms import lower_scaled
from mpsearch.backends.integer_only.operations import Again, Joined, Same, Sum
from mpsearch.graph.operations import argument

_MOVES = frozenset({
    "aten.view.default", "aten.reshape.default", "aten._unsafe_view.default",
    "aten.flatten.using_ints", "aten.unflatten.int", "aten.permute.default", "aten.transpose.int",
    "aten.t.default", "aten.numpy_T.default", "aten.mT.default", "aten.movedim.int",
    "aten.swapaxes.default", "aten.slice.Tensor", "aten.narrow.default", "aten.select.int",
    "aten.unbind.int", "aten.chunk.default", "aten.split.Tensor",
    "aten.split_with_sizes.default", "aten.expand.default", "aten.unsqueeze.default",
    "aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims", "aten.clone.default",
    "aten.contiguous.default", "aten.roll.default", "aten.flip.default", "aten.repeat.default",
    "getitem",
})
_NOTHING = frozenset({"aten.dropout.default", "aten.alias.default", "aten.detach.default"})
_ANY_STRIDES: dict[Any, Any] = {  # integers may be laid out in another order than floats were
    torch.ops.aten.view.default: torch.ops.aten.reshape.default,
    torch.ops.aten._unsafe_view.default: torch.ops.aten.reshape.default,  # noqa: SLF001 - its name
}
_SIZES = frozenset({operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod})


def lower_move(build: Builder, node: Node) -> bool:
    """What moves integers, or computes sizes and indices; False if *node* does neither."""
    target = build.target(node)
    if target in _NOTHING:
        source = build.value(argument(node, 0))
        build.add(node.name, Same(), (source,), build.grids[source])
        return True
    counted = target.startswith("aten.sym_size") or node.target in _SIZES
    if target not in _MOVES and not counted:
        return False
    sources = tuple(build.value(source) for source in node.all_input_nodes)
    grid = None if counted else build.grids[build.value(node.all_input_nodes[0])]
    build.add(node.name, Again(
        target=_ANY_STRIDES.get(node.target, node.target), args=node.args, kwargs=node.kwargs,
        nodes=tuple(node.all_input_nodes)), sources, grid)
    return True


def moves(build: Builder, node: Node) -> bool:
    """Whether *node* only moves numbers."""
    return build.target(node) in _MOVES | _NOTHING


def lower_add(build: Builder, node: Node) -> None:
    """A sum of two tensors, on a scale that has room for it."""
    if node.kwargs.get("alpha", 1) != 1 or len(node.args) > 2:  # noqa: PLR2004 - two operands
        raise build.refuse(node, "adds a multiple")
    names = [_term(build, node, argument(node, index)) for index in range(2)]
    grids = [build.grid(name) for name in names]
    scale = build.scale(grids[0].reach + grids[1].reach)
    moved = [build.at(name, scale) for name in names]
    grids = [build.grid(name) for name in moved]
    made = Grid(scale=scale, low=grids[0].low + grids[1].low, high=grids[0].high + grids[1].high)
    build.add(node.name, Sum(dtype=made.dtype), tuple(moved), made)


def lower_cat(build: Builder, node: Node) -> None:
    """Tensors in a row, on one scale."""
    names = [build.value(part) for part in argument(node, 0)]
    scale = build.scale(max(build.grid(name).reach for name in names))
    moved = [build.at(name, scale) for name in names]
    grids = [build.grid(name) for name in moved]
    made = Grid(scale=scale, low=min(grid.low for grid in grids),
                high=max(grid.high for grid in grids))
    dim = argument(node, 1)
    op = Joined(dim=0 if dim is None else dim, dtype=made.dtype)
    build.add(node.name, op, tuple(moved), made)


def lower_multiply(build: Builder, node: Node) -> None:
    """A product with a number or a stored tensor; a positive number only changes the scale."""
    terms = [argument(node, index) for index in range(2)]
    known = [_known(build, term) for term in terms]
    running = [term for term, number in zip(terms, known, strict=True) if number is None]
    if len(running) != 1:
        raise build.refuse(node, "multiplies two activations number by number")
    factor = next(number for number in known if number is not None)
    if build.target(node).startswith("aten.div"):
        if running[0] is terms[1]:
            raise build.refuse(node, "divides by an activation")
        factor = 1 / factor
    source = build.value(running[0])
    if factor.numel() > 1 or float(factor) <= 0:
        lower_scaled(build, node, source, factor)
        return
    grid = build.grid(source)
    made = Grid(scale=grid.scale * Fraction(float(factor)), low=grid.low, high=grid.high)
    build.add(node.name, Same(), (source,), made)


def _known(build: Builder, term: Any) -> Tensor | None:
    if isinstance(term, int | float):
        return torch.tensor(float(term), dtype=torch.float64)
    found: Tensor | None = build.fixed.get(term)
    return None if found is None else found.double()


def _term(build: Builder, node: Node, term: Any) -> str:
    if isinstance(term, Node):
        return build.value(term)
    return build.constant(f"{node.name}:number", torch.tensor(float(term), device=build.device))


LOWER: dict[str, Callable[[Builder, Node], None]] = {
    "aten.add.Tensor": lower_add, "aten.cat.default": lower_cat,
    "aten.mul.Tensor": lower_multiply, "aten.div.Tensor": lower_multiply,
    "aten.mul.Scalar": lower_multiply, "aten.div.Scalar": lower_multiply,
}
