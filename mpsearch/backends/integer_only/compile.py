"""From a captured program and a policy to an integer program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.fx import Node

from mpsearch.backends.integer_only import (
    lower_functions,
    lower_joins,
    lower_norms,
    lower_products,
)
from mpsearch.backends.integer_only.builder import Builder
from mpsearch.backends.integer_only.functions import GeluKind
from mpsearch.backends.integer_only.grid import Grid
from mpsearch.backends.integer_only.policy import Decisions, Target
from mpsearch.backends.integer_only.steps import Steps
from mpsearch.core.errors import Unsupported
from mpsearch.graph.sites import Call

Rule = Callable[[Builder, Node], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An integer program: where its inputs go, by name, its steps, and the grid of its result.

    An input without a grid is an index already.
    """

    inputs: Mapping[str, Grid | None]
    steps: Steps
    grid: Grid


def compiled(policy: Decisions, *, bits: int, gelu: GeluKind) -> Compiled:
    """The integer program of *policy*.

    *bits* is the width of integers between layers; *gelu* the way GELU is computed.

    Raises:
        Unsupported: an operation that has no integer form here, or a layer that the policy does
            not put in integers; the message names it.
    """
    build = Builder(policy.program, bits)
    rules = {**lower_functions.LOWER, **lower_norms.LOWER, **lower_joins.LOWER,
             "aten.gelu.default": lower_functions.gelu(gelu)}
    inputs: dict[str, Grid | None] = {}
    for node in policy.program.nodes[:-1]:
        build.enter(node)
        if node.op == "placeholder":
            inputs[node.name] = build.grids[node.name] = _entry(build, policy, node)
        elif node.op == "call_function" and node not in build.fixed:
            _lower(build, policy, node, rules)
    result = _result(build, policy)
    return Compiled(inputs=inputs, steps=Steps(build.steps, result), grid=build.grid(result))


def _lower(build: Builder, policy: Decisions, node: Node, rules: Mapping[str, Rule]) -> None:
    site = policy.program.sites.get(node)
    if site is not None and len(site.calls) > 1:
        lower_functions.lower_attention(build, policy, node, site)
    elif site is not None:
        call = site.calls[0]
        lower_products.LOWER[_kind(call)](build, policy, node, call)
    elif build.target(node) in rules:
        rules[build.target(node)](build, node)
    elif not lower_joins.lower_move(build, node):
        raise build.refuse(node, "has no integer form")


def _kind(call: Call) -> str:
    return call.operation.kind


def _entry(build: Builder, policy: Decisions, node: Node) -> Grid | None:
    """Where an input is quantized: on the grid of the first layer that reads it."""
    value: Any = node.meta.get("val")
    if value is not None and not value.is_floating_point():
        return None
    target = _first_reader(build, policy, node)
    if target is None:
        raise Unsupported(f"input '{node.name}' goes into an operation before any layer, so that "
                          "the policy has no range for it: the backend integer_only cannot run it, "
                          "simulated can")
    return Grid(scale=target.scale, low=target.limits[0], high=target.limits[1])


def _first_reader(build: Builder, policy: Decisions, node: Node) -> Target | None:
    for user in node.users:
        site = policy.program.sites.get(user)
        for call in site.calls if site else ():
            for which in ("input", "other"):
                part = getattr(call.operation, which)
                if part is not None and part.index < len(user.args) and (
                        user.args[part.index] is node):
                    return policy.operand(call.layer, which)
        if site is None and lower_joins.moves(build, user):
            found = _first_reader(build, policy, user)
            if found is not None:
                return found
    return None


def _result(build: Builder, policy: Decisions) -> str:
    outputs = policy.program.nodes[-1].all_input_nodes
    found = next((node for node in outputs if build.grids.get(node.name) is not None), None)
    if found is None:
        raise Unsupported("the model returns nothing that depends on its inputs: the backend "
                          "integer_only has nothing to run")
    return found.name
