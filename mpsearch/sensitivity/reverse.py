"""A forward pass and several backward passes, segment by segment, within a bound on memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.graph.execute import Env, Program
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.relevance.propagate import propagate, start
from mpsearch.sensitivity.relevance.rules import Rules


@dataclass(slots=True, kw_only=True)
class Passing:
    """One run of a site: its arguments and output, and what has come back to it so far."""

    site: Site
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Tensor
    squares: dict[int, Tensor] = field(default_factory=dict)
    relevance: Tensor | None = None


class Visitor(Protocol):
    """Who is told of every site as the last of the backward passes reaches it."""

    def wants(self, site: Site) -> bool:
        """Whether the site is of interest."""
        ...

    def visit(self, passing: Passing, g: Tensor) -> None:
        """The gradient of the first draw has arrived."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """How to go back through *program*: cut at *cuts*, *relevance* propagated by these rules.

    *draws* are the numbers of draws over which mean squared gradients are wanted; the cotangents
    are as many as the largest of them, at least one.
    """

    program: Program
    cuts: Sequence[int]
    draws: tuple[int, ...] = ()
    rules: Rules | None = None

    def run(self, args: tuple[Tensor, ...], cotangents: Callable[[Tensor], list[Tensor]],
            visitor: Visitor) -> None:
        """Run the model on *args* and go back from the output, once for every cotangent.

        The last backward pass is that of the first cotangent. Nothing is kept for the whole
        network but what lives where two segments meet.
        """
        program = self.program
        envs = [program.start(args)]
        for a, b in zip(self.cuts[:-2], self.cuts[1:-1], strict=True):
            envs.append(dict(envs[-1]))
            with torch.no_grad():
                program.advance(envs[-1], a, b)
        state = _State()
        for number in reversed(range(len(envs))):
            segment = _Segment(self, visitor, state, self.cuts[number], self.cuts[number + 1])
            segment.run(envs.pop(), cotangents)


class _State:
    """What goes from one segment to the one before it: gradients and relevance, by node."""

    def __init__(self) -> None:
        self.grads: list[dict[Node, Tensor]] = []
        self.relevance: dict[Node, Tensor] = {}


class _Segment:
    """Operations *first* to *last*: run again with gradients, and gone back through."""

    def __init__(self, reverse: Reverse, visitor: Visitor, state: _State, first: int,
                 last: int) -> None:
        self.reverse, self.visitor, self.state = reverse, visitor, state
        self.first, self.last = first, last
        self.passing: dict[Node, Passing] = {}
        self.draw = 0

    def run(self, env: Env, cotangents: Callable[[Tensor], list[Tensor]]) -> None:
        program = self.reverse.program
        with torch.enable_grad():
            leaves = {node: value.detach().requires_grad_() for node, value in env.items()
                      if node.op == "call_function" and _floating(value)}
            env.update(leaves)
            read = dict(env) if self.reverse.rules else {}
            values: Env | None = {} if self.reverse.rules else None
            program.advance(env, self.first, self.last, watch=self._watch, keep=values)
        if self.last == len(program.nodes):
            self._begin(program.output_node(env), program.output(env).detach(), cotangents)
        if values is not None:
            self._relevance({**read, **values})
        self._back(env, leaves)

    def _begin(self, node: Node, output: Tensor,
               cotangents: Callable[[Tensor], list[Tensor]]) -> None:
        self.state.grads = [{node: each} for each in cotangents(output)]
        if self.reverse.rules:
            self.state.relevance[node] = start(output)

    def _watch(self, site: Site, args: tuple[Any, ...], kwargs: Mapping[str, Any],
               output: Tensor, _env: Env) -> Tensor:
        if not output.requires_grad:
            # Nothing upstream has a gradient: the first layer's output is where it starts.
            output = output.detach().requires_grad_()
        if self.visitor.wants(site):
            self.passing[site.node] = Passing(
                site=site, kwargs=kwargs, output=output.detach(),
                args=tuple(arg.detach() if isinstance(arg, Tensor) else arg for arg in args))
            output.register_hook(  # type: ignore[no-untyped-call]
                lambda g: self._arrived(site.node, g))
        return output

    @torch.no_grad()
    def _arrived(self, node: Node, g: Tensor) -> None:
        passing = self.passing[node]
        for draws in self.reverse.draws:
            if self.draw < draws:
                mean = g.square() / draws
                known = passing.squares.get(draws)
                passing.squares[draws] = mean if known is None else known.add_(mean)
        if self.draw == 0:
            self.visitor.visit(self.passing.pop(node), g)

    def _relevance(self, values: Mapping[Node, Any]) -> None:
        assert self.reverse.rules is not None  # noqa: S101 - else there are no values
        detached = {node: _detached(value) for node, value in values.items()}

        def note(site: Site, relevance: Tensor) -> None:
            if site.node in self.passing:
                self.passing[site.node].relevance = relevance

        propagate(self.reverse.program, self.first, self.last, detached, self.state.relevance,
                  self.reverse.rules, note)

    def _back(self, env: Env, leaves: Mapping[Node, Tensor]) -> None:
        for draw in reversed(range(len(self.state.grads))):
            self.draw = draw
            grads = self.state.grads[draw]
            here = [node for node in grads if _differentiable(env.get(node))]
            if here:
                torch.autograd.backward(
                    [env[node] for node in here], [grads[node] for node in here],
                    retain_graph=draw > 0)
            self.state.grads[draw] = {node: leaf.grad for node, leaf in leaves.items()
                                           if leaf.grad is not None}
            for leaf in leaves.values():
                leaf.grad = None


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    return tuple(map(_detached, value)) if isinstance(value, tuple | list) else value
