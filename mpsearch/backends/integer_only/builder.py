"""An integer program under construction: steps, the grid of every value, and moves between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from mpsearch.backends.integer_only.dyadic import Dyadic
from mpsearch.backends.integer_only.grid import FINEST, Grid, power_of_two
from mpsearch.backends.integer_only.operations import Constant, Requantize
from mpsearch.backends.integer_only.steps import Step
from mpsearch.core.errors import Unsupported
from mpsearch.graph.execute import Program


class Builder:
    """Collects the steps of *program*.

    *bits* is the width of integers between layers, whose scales are powers of two such that nothing
    can overflow.
    """

    def __init__(self, program: Program, bits: int) -> None:
        self.program, self.bits = program, bits
        self.steps: list[Step] = []
        self.grids: dict[str, Grid | None] = {}
        self.device = program.device
        self.fixed = _fixed(program)
        self._moved: dict[tuple[str, Fraction, tuple[int, int] | None], str] = {}
        self._module = ""

    def enter(self, node: Node) -> None:
        """Steps made from now on belong to *node*."""
        self._module = self.module(node)

    def module(self, node: Node) -> str:
        """Path of the torch module that *node* runs in."""
        return str(self.program.traced.graph.nodes[node.name]["module"]) or "the model"

    def target(self, node: Node) -> str:
        """Name of the operation at *node*."""
        return str(self.program.traced.graph.nodes[node.name]["target"])

    def refuse(self, node: Node, why: str) -> Unsupported:
        """The error that says what at *node* cannot be done in integers, and what to do instead."""
        site = self.program.sites.get(node)
        place = site.layers[0] if site else self.module(node)
        return Unsupported(f"layer '{place}': {self.target(node)} {why}: the backend integer_only "
                           "cannot run it, simulated can")

    def size(self, node: Node, dim: int) -> int:
        """Length of a dimension of *node*'s value.

        Raises:
            Unsupported: it depends on the number of samples.
        """
        shape = self.program.traced.graph.nodes[node.name]["shape"]
        if shape is None or not isinstance(shape[dim], int):
            raise self.refuse(node, "sums over as many numbers as there are samples")
        return int(shape[dim])

    def add(self, name: str, op: Callable[..., Any], inputs: tuple[str, ...],
            grid: Grid | None) -> str:
        """Append a step; the name of its value."""
        self.steps.append(Step(name=name, op=op, inputs=inputs, grid=grid, module=self._module))
        self.grids[name] = grid
        return name

    def grid(self, name: str) -> Grid:
        """The grid of the value called *name*."""
        found = self.grids[name]
        assert found is not None  # noqa: S101 - sizes and indices are never computed with
        return found

    def value(self, node: Node) -> str:
        """The name of *node*'s value, which is stored first if it is known beforehand."""
        if node.name in self.grids:
            return node.name
        tensor = self.fixed[node]
        if tensor.is_floating_point():
            return self.constant(node.name, tensor)
        return self.add(node.name, Constant(codes=tensor), (), None)

    def constant(self, name: str, tensor: Tensor) -> str:
        """Store the numbers of *tensor* as integers of full width; the name."""
        codes, grid = self.whole(tensor)
        return self.add(name, Constant(codes=codes), (), grid)

    def whole(self, tensor: Tensor) -> tuple[Tensor, Grid]:
        """The numbers of *tensor* as integers of full width, and their grid.

        Raises:
            Unsupported: one of them is not finite.
        """
        values = tensor.detach().double()
        if not bool(values.isfinite().all()):
            raise Unsupported(f"layer '{self._module}': it computes with stored numbers that are "
                              "not finite, as a mask has: the backend integer_only cannot run it, "
                              "simulated can")
        scale = self.scale(Fraction(float(values.abs().max())))
        codes = (values / float(scale)).round().to(torch.int64)
        grid = Grid(scale=scale, low=int(codes.min()), high=int(codes.max()))
        return codes.to(grid.dtype), grid

    def scale(self, reach: Fraction, finest: int = FINEST) -> Fraction:
        """The scale of a value that may be as large as *reach*."""
        return power_of_two(reach, self.bits, finest)

    def at(self, source: str, scale: Fraction, limits: tuple[int, int] | None = None) -> str:
        """The value called *source* with another *scale*, clipped to *limits* where given."""
        grid = self.grid(source)
        inside = limits is None or (limits[0] <= grid.low and grid.high <= limits[1])
        if grid.scale == scale and inside:
            return source
        key = (source, scale, limits)
        if key not in self._moved:
            dyadic = Dyadic.of([grid.scale / scale], grid.magnitude, device=self.device)
            ends = [int(dyadic(torch.tensor(end, device=self.device)))
                    for end in (grid.low, grid.high)]
            if limits is not None:
                ends = [min(max(end, limits[0]), limits[1]) for end in ends]
            made = Grid(scale=scale, low=ends[0], high=ends[1])
            op = Requantize(dyadic=dyadic, limits=limits, dtype=made.dtype)
            self._moved[key] = self.add(f"{source}:{len(self._moved)}", op, (source,), made)
        return self._moved[key]


def _fixed(program: Program) -> Mapping[Node, Any]:
    """The values that do not depend on the inputs, computed beforehand."""
    known: dict[Node, Any] = dict(program.parameters)
    with torch.no_grad():
        for node in program.nodes:
            if node.op == "call_function" and all(each in known for each in node.all_input_nodes):
                target: Any = node.target
                known[node] = target(*map_arg(node.args, known.__getitem__),
                                     **map_arg(node.kwargs, known.__getitem__))
    return known
