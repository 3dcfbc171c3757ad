"""Run a captured graph in parts: from any operation on, with operands of its layers changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from mpsearch.core.errors import BadInput
from mpsearch.graph.sites import Changes, Site
from mpsearch.graph.trace import Traced, first_tensor

Env = dict[Node, Any]
"""Values of the operations that have run and are still needed."""
Watch = Callable[[Site, tuple[Any, ...], Mapping[str, Any], Tensor, Env], Tensor]
"""Sees a site's arguments and output as it runs; what it returns takes the output's place."""

_ANY_STRIDES: dict[Any, Any] = {
    torch.ops.aten.view.default: torch.ops.aten.reshape.default,
    torch.ops.aten._unsafe_view.default: torch.ops.aten.reshape.default,
}
# A changed operation may lay its output out in another order than the captured one did.


class Program:
    """The operations of a captured graph in order, each value dropped after its last use."""

    def __init__(self, traced: Traced, sites: Sequence[Site] = ()) -> None:
        self.traced = traced
        self.nodes: tuple[Node, ...] = tuple(traced.program.graph.nodes)
        self.position = {node: place for place, node in enumerate(self.nodes)}
        self.sites = {site.node: site for site in sites}
        self._constants = {node: self._fetch(str(node.target)) for node in self.nodes
                           if node.op == "get_attr"}
        self._placeholders = [node for node in self.nodes if node.op == "placeholder"]
        self._drop: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        seen: set[Node] = set()
        for node in reversed(self.nodes):
            for source in node.all_input_nodes:
                if source not in seen:
                    seen.add(source)
                    self._drop[node].append(source)

    def start(self, args: tuple[Tensor, ...], stored: Mapping[Node, Tensor] | None = None) -> Env:
        """Values before the first operation; *stored* replaces parameters of the model."""
        if len(args) != len(self._placeholders):
            raise BadInput(f"the model was captured with {len(self._placeholders)} inputs, the data "
                           f"has {len(args)}: yield batches of the same form")
        return {**self._constants, **(stored or {}),
                **dict(zip(self._placeholders, self._fill(args), strict=True))}

    def advance(self, env: Env, start: int, stop: int, changes: Changes | None = None,
                watch: Watch | None = None) -> None:
        """Run operations *start* to *stop* (excluded) in *env*, keeping what is still needed."""
        for node in self.nodes[start:stop]:
            if node.op == "call_function":
                env[node] = self._call(env, node, changes or {}, watch)
            for dead in self._drop[node]:
                if node.op != "output":
                    env.pop(dead, None)

    def finish(self, env: Env, start: int, changes: Changes | None = None,
               watch: Watch | None = None) -> Tensor:
        """Run from *start* to the end; the model's first floating-point output."""
        self.advance(env, start, len(self.nodes), changes, watch)
        return first_tensor(map_arg(self.nodes[-1].args[0], lambda node: env[node]))

    def run(self, args: tuple[Tensor, ...], changes: Changes | None = None,
            watch: Watch | None = None, stored: Mapping[Node, Tensor] | None = None) -> Tensor:
        """The whole graph on *args*, whatever the batch size."""
        output = self.finish(self.start(args, stored), 0, changes, watch)
        return output[: args[0].shape[0]] if self.traced.batch else output

    def _call(self, env: Env, node: Node, changes: Changes, watch: Watch | None) -> Any:
        args = map_arg(node.args, lambda source: env[source])
        kwargs = map_arg(node.kwargs, lambda source: env[source])
        site = self.sites.get(node)
        if site is None:
            target = _ANY_STRIDES.get(node.target, node.target)
            return target(*args, **kwargs)
        if any(layer in changes for layer in site.layers):
            output = site.run(args, kwargs, changes, self._constants)
        else:
            output = node.target(*args, **kwargs)  # type: ignore[operator]
        return watch(site, args, kwargs, output, env) if watch else output

    @property
    def parameters(self) -> Mapping[Node, Tensor]:
        """The stored tensors of the model, by their node."""
        return self._constants

    def _fetch(self, target: str) -> Any:
        value: Any = self.traced.program
        for part in target.split("."):
            value = getattr(value, part)
        return value.detach() if isinstance(value, Tensor) else value

    def _fill(self, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        # A graph of fixed batch size gets the last samples again until the batch is full.
        wanted, given = self.traced.batch, args[0].shape[0]
        if wanted is None or given == wanted:
            return args
        if given > wanted:
            raise BadInput(f"this model was captured for batches of {wanted} and got {given}: "
                           "use a smaller batch size")
        index = torch.arange(wanted).clamp(max=given - 1)
        return tuple(arg[index.to(arg.device)] if arg.dim() and arg.shape[0] == given else arg
                     for arg in args)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Shape of every tensor in a run on *batch* samples, and the dimension the samples lie in."""

    batch: int
    shapes: Mapping[Node, tuple[int, ...]]
    sample_dims: Mapping[Node, int | None]
    parameters: Mapping[Node, Tensor]

    def of(self, node: Node) -> tuple[int, ...]:
        """Shape of *node*'s output."""
        return self.shapes.get(node, ())

    def one(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """*shape* with its first dimension counted for one sample, where that is whole."""
        if not shape or shape[0] % self.batch:
            return shape
        return (shape[0] // self.batch, *shape[1:])


def measure_shapes(program: Program, args: tuple[Tensor, ...]) -> Shapes:
    """Run *program* on a few samples and note all shapes.

    Where the graph takes any batch size, a second run with one sample more tells which dimension
    of each tensor holds the samples; otherwise it is taken to be the first.
    """
    if program.traced.batch is not None:
        shapes = _run_shapes(program, args)
        dims: dict[Node, int | None] = {node: 0 if shape else None
                                        for node, shape in shapes.items()}
        return Shapes(batch=program.traced.batch, shapes=shapes, sample_dims=dims,
                      parameters=program.parameters)
    few, more = _repeat(args, 2), _repeat(args, 3)
    shapes, larger = _run_shapes(program, few), _run_shapes(program, more)
    dims = {node: next((dim for dim, (a, b) in enumerate(zip(shape, larger[node], strict=True))
                        if a != b), None) for node, shape in shapes.items()}
    return Shapes(batch=2, shapes=shapes, sample_dims=dims, parameters=program.parameters)


def per_sample(values: Tensor, sample_dim: int | None, samples: int) -> Tensor:
    """Sum *values* over everything but the samples: shape [samples].

    A tensor that all samples share (None) is spread evenly in the mean square: each sample gets
    the total over the square root of their number, which is right for zero-mean gradients.
    """
    if sample_dim is None:
        return values.sum().expand(samples) / math.sqrt(samples)
    return values.movedim(sample_dim, 0).reshape(samples, -1).sum(1)


def _run_shapes(program: Program, args: tuple[Tensor, ...]) -> dict[Node, tuple[int, ...]]:
    env = program.start(args)
    shapes: dict[Node, tuple[int, ...]] = {}
    with torch.no_grad():
        for place in range(len(program.nodes) - 1):
            program.advance(env, place, place + 1)
            value = env.get(program.nodes[place])
            if isinstance(value, Tensor):
                shapes[program.nodes[place]] = tuple(value.shape)
    return shapes


def _repeat(args: tuple[Tensor, ...], samples: int) -> tuple[Tensor, ...]:
    given = args[0].shape[0]
    index = torch.arange(samples) % given
    return tuple(arg[index.to(arg.device)] if arg.dim() and arg.shape[0] == given else arg
                 for arg in args)
