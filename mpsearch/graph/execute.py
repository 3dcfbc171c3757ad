"""Run a captured graph in parts: from any operation on, with operands of its layers changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from mpsearch.core.errors import BadInput
from mpsearch.graph.laps import watching
from mpsearch.graph.samples import SampleAxis, disturbed, find_axis, repeat
from mpsearch.graph.sites import Changes, Site
from mpsearch.graph.tidy import attribute
from mpsearch.graph.trace import Traced, first_tensor

Env = dict[Node, Any]
"""Values of the operations that have run and are still needed."""
BRANCH = "branch"
"""Stands beside the operands of a layer: what its residual branch adds."""
Join = tuple[str, int]
"""The layer that a residual branch goes by, and which argument of an addition the branch is."""
Watch = Callable[[Site, tuple[Any, ...], Mapping[str, Any], Tensor, Env], Tensor]
"""Sees a site's arguments and output as it runs; what it returns takes the output's place."""

# A changed operation may lay its output out in another order than the captured one did.
ANY_STRIDES: dict[Any, Any] = {
    torch.ops.aten.view.default: torch.ops.aten.reshape.default,
    torch.ops.aten._unsafe_view.default: torch.ops.aten.reshape.default,  # noqa: SLF001 - its name
}


class Program:
    """The operations of a captured graph in order, each value dropped after its last use.

    Inputs go to the model's *device*, where its first parameter is; the model is never moved. A
    change of ``branch`` of the layer at a join is done to what the branch adds there. What runs
    *instead* of an operation that carries no layers takes its arguments.
    """

    def __init__(self, traced: Traced, sites: Sequence[Site] = (),
                 joins: Mapping[Node, Join] | None = None,
                 instead: Mapping[Node, Callable[..., Any]] | None = None) -> None:
        self.traced = traced
        self.instead = dict(instead or {})
        self.joins = dict(joins or {})
        self.nodes: tuple[Node, ...] = tuple(traced.program.graph.nodes)
        self.position = {node: place for place, node in enumerate(self.nodes)}
        self.sites = {site.node: site for site in sites}
        self._constants = {node: self._fetch(str(node.target)) for node in self.nodes
                           if node.op == "get_attr"}
        self.device = next((value.device for value in self._constants.values()
                            if isinstance(value, Tensor) and value.is_floating_point()), None)
        self._placeholders = [node for node in self.nodes if node.op == "placeholder"]
        self._drop: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        self._last: dict[Node, int] = {}
        for node in reversed(self.nodes):
            for source in node.all_input_nodes:
                if source not in self._last:
                    self._last[source] = self.position[node]
                    self._drop[node].append(source)

    def start(self, args: tuple[Tensor, ...], stored: Mapping[Node, Tensor] | None = None) -> Env:
        """Values before the first operation; *stored* replaces parameters of the model."""
        if len(args) != len(self._placeholders):
            raise BadInput(f"the model was captured with {len(self._placeholders)} inputs, the "
                           f"data has {len(args)}: yield batches of the same form")
        given = (arg if self.device is None else arg.to(self.device) for arg in self._fill(args))
        return {**self._constants, **(stored or {}),
                **dict(zip(self._placeholders, given, strict=True))}

    def advance(self, env: Env, start: int, stop: int, changes: Changes | None = None, *,
                watch: Watch | None = None, keep: Env | None = None) -> None:
        """Run operations *start* to *stop* (excluded) in *env*, keeping what is still needed.

        *keep* receives every value that is made.
        """
        done = watching()
        for node in self.nodes[start:stop]:
            if node.op == "call_function":
                env[node] = self._call(env, node, changes or {}, watch)
                if keep is not None:
                    keep[node] = env[node]
            for dead in self._drop[node]:
                if node.op != "output":
                    env.pop(dead, None)
            if done is not None:
                done(node.name)

    def finish(self, env: Env, start: int, changes: Changes | None = None,
               watch: Watch | None = None) -> Tensor:
        """Run from *start* to the end; the model's first floating-point output."""
        self.advance(env, start, len(self.nodes), changes, watch=watch)
        return self.output(env)

    def output(self, env: Env) -> Tensor:
        """The model's first floating-point output, once everything in *env* has run."""
        return first_tensor(map_arg(self.nodes[-1].args[0], lambda node: env[node]))

    def output_node(self, env: Env) -> Node:
        """The node whose value `output` is."""
        output = self.output(env)
        return next(node for node in self.nodes[-1].all_input_nodes if env[node] is output)

    def live(self, place: int) -> list[Node]:
        """The values made before operation *place* that are read there or later."""
        return [node for node in self.nodes[:place]
                if node.op != "get_attr" and self._last.get(node, -1) >= place]

    def run(self, args: tuple[Tensor, ...], changes: Changes | None = None,
            watch: Watch | None = None, stored: Mapping[Node, Tensor] | None = None) -> Tensor:
        """The whole graph on *args*, whatever the batch size."""
        output = self.finish(self.start(args, stored), 0, changes, watch)
        return output[: args[0].shape[0]] if self.traced.batch else output

    def _call(self, env: Env, node: Node, changes: Changes, watch: Watch | None) -> Any:
        args: Any = map_arg(node.args, lambda source: env[source])
        kwargs: Any = map_arg(node.kwargs, lambda source: env[source])
        site = self.sites.get(node)
        if node in self.joins:
            args = self._joined(node, args, changes)
        if site is None:
            target = self.instead.get(node) or ANY_STRIDES.get(node.target, node.target)
            return target(*args, **kwargs)
        if any(layer in changes for layer in site.layers):
            output = site.run(args, kwargs, changes, self._constants)
        else:
            output = node.target(*args, **kwargs)  # type: ignore[operator]
        return watch(site, args, kwargs, output, env) if watch else output

    def _joined(self, node: Node, args: tuple[Any, ...], changes: Changes) -> tuple[Any, ...]:
        """The operands of an addition, with what a residual branch adds changed."""
        layer, operand = self.joins[node]
        change = changes.get(layer, {}).get(BRANCH)
        return args if change is None else tuple(
            change(arg) if number == operand else arg for number, arg in enumerate(args))

    @property
    def parameters(self) -> Mapping[Node, Tensor]:
        """The stored tensors of the model, by their node."""
        return self._constants

    def _fetch(self, target: str) -> Any:
        value = attribute(self.traced.program, target)
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
    """Shape of every tensor in a run on *batch* samples, and where the samples lie in it.

    *sample_axes* is None for a tensor that all samples share. *counts* are the whole numbers that
    the graph computes on the way (sizes), for this many samples and for one more.
    """

    batch: int
    shapes: Mapping[Node, tuple[int, ...]]
    sample_axes: Mapping[Node, SampleAxis | None]
    parameters: Mapping[Node, Tensor]
    counts: Mapping[Node, tuple[int, int]] = field(default_factory=dict)

    def of(self, node: Node) -> tuple[int, ...]:
        """Shape of *node*'s output."""
        return self.shapes.get(node, ())

    def one(self, node: Node) -> tuple[int, ...]:
        """Shape of *node*'s output for a batch of one sample."""
        shape, axis = self.of(node), self.sample_axes.get(node)
        if axis is None:
            return shape
        return (*shape[:axis.dim], shape[axis.dim] // self.batch, *shape[axis.dim + 1:])


@torch.no_grad()
def measure_shapes(program: Program, args: tuple[Tensor, ...]) -> Shapes:
    """Run *program* on a few samples and note all shapes.

    A second run, with other numbers in the first sample, tells where in a tensor each sample
    lies. Where the graph takes any batch size, a third with one sample more tells the dimension.
    """
    batch = program.traced.batch or 2
    few = repeat(args, batch)
    runs = [few, disturbed(few)]
    if program.traced.batch is None:
        runs.append(repeat(args, batch + 1))
    shapes: dict[Node, tuple[int, ...]] = {}
    axes: dict[Node, SampleAxis | None] = {}
    counts: dict[Node, tuple[int, int]] = {}
    for node, values in _together(program, runs):
        if isinstance(values[0], Tensor):
            shapes[node] = tuple(values[0].shape)
            axes[node] = _axis(values, batch)
        else:
            counts[node] = values[0], values[-1]
    return Shapes(batch=batch, shapes=shapes, sample_axes=axes, parameters=program.parameters,
                  counts=counts)


def _axis(values: list[Tensor], batch: int) -> SampleAxis | None:
    tensor, other, *more = values
    if not more:
        return find_axis(tensor, other, batch, None)
    grown = (dim for dim, (a, b) in enumerate(zip(tensor.shape, more[0].shape, strict=True))
             if a != b)
    dim = next(grown, None)
    return None if dim is None else find_axis(tensor, other, batch, dim)


def _together(program: Program, runs: Sequence[tuple[Tensor, ...]],
              ) -> Iterator[tuple[Node, list[Any]]]:
    """Every operation that makes a tensor or a whole number, with its value in each of *runs*."""
    envs = [program.start(args) for args in runs]
    for place, node in enumerate(program.nodes[:-1]):
        for env in envs:
            program.advance(env, place, place + 1)
        values = [env.get(node) for env in envs]
        if all(isinstance(value, Tensor) for value in values) or all(
                isinstance(value, int) for value in values):
            yield node, values
