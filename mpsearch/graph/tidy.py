"""Make a captured graph a plain function of its inputs, so that any part of it can be re-run."""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule, Node

from mpsearch.core.errors import Unsupported


def tidy(program: GraphModule) -> None:
    """Drop what only switches modes or writes to the model's state, as nothing uses its result.

    A stored tensor keeps a single node, however many names it has and however often it is read.

    Raises:
        Unsupported: a part of the model ran under autocast.
    """
    first: dict[int, Node] = {}
    for node in list(program.graph.nodes):
        if getattr(node.target, "__name__", "") == "_enter_autocast" and node.args[2]:
            raise Unsupported("a part of the model runs under autocast: cast the model itself")
        if node.op == "get_attr":
            kept = first.setdefault(id(attribute(program, str(node.target))), node)
            if kept is not node:
                node.replace_all_uses_with(kept)
    program.graph.eliminate_dead_code(
        is_impure_node=lambda node: node.op in {"placeholder", "output"})
    program.recompile()


def attribute(program: GraphModule, target: str) -> Any:
    """What a ``get_attr`` node with this *target* reads."""
    value: Any = program
    for part in target.split("."):
        value = getattr(value, part)
    return value
