"""Make a captured graph a plain function of its inputs, so that any part of it can be re-run."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from mpsearch.core.errors import Unsupported


def tidy(program: GraphModule) -> None:
    """Drop what switches modes or writes to the model's state, then what nothing uses.

    A stored tensor keeps a single node, however many names it has and however often it is read.

    Raises:
        Unsupported: a part of the model ran under autocast.
    """
    for node in reversed(list(program.graph.nodes)):
        if _switches_mode(node) or _writes_state(node):
            program.graph.erase_node(node)
    first: dict[int, Node] = {}
    for node in list(program.graph.nodes):
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


def _switches_mode(node: Node) -> bool:
    # Only a recorded run has these; torch.export resolves them.
    name = getattr(node.target, "__name__", "")
    if name == "_enter_autocast" and node.args[2]:
        raise Unsupported("a part of the model runs under autocast: cast the model itself")
    return name in {"_set_grad_enabled", "_enter_autocast", "_exit_autocast"}


def _writes_state(node: Node) -> bool:
    # torch.export writes a changed buffer back at the end.
    written = node.args[0] if node.args else None
    return (node.target is torch.ops.aten.copy_.default and isinstance(written, Node)
            and written.op == "get_attr" and not node.users)
