"""Find where a model first produces values that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.core.errors import BadInput
from mpsearch.graph.execute import Program


def require_finite(program: Program, args: tuple[Tensor, ...], output: Tensor) -> None:
    """Check the *output* of *program* on *args*.

    Raises:
        BadInput: it has NaN or infinite values; the message names the layer they come from.
    """
    if bool(torch.isfinite(output).all()):
        return
    if any(arg.is_floating_point() and bool(arg.isnan().any()) for arg in args):
        raise BadInput("the data has NaN values: check the inputs")
    raise BadInput(f"the model's output is not finite: NaN or infinite values first appear in "
                   f"{_culprit(program, args)}: check its weights and the inputs")


def _culprit(program: Program, args: tuple[Tensor, ...]) -> str:
    env = program.start(args)
    with torch.no_grad():
        for place, node in enumerate(program.nodes[:-1]):
            masked = any(_any(env[source], torch.isneginf) for source in node.all_input_nodes)
            program.advance(env, place, place + 1)
            if node.op == "call_function" and _at_fault(program, node, env.get(node), masked):
                site = program.sites.get(node)
                module = program.traced.graph.nodes[node.name]["module"] or node.name
                return f"layer '{site.layers[0] if site else module}'"
    return "its last operation"


def _at_fault(program: Program, node: Node, value: Any, masked: bool) -> bool:
    """Whether *value* has gone wrong: NaN, or infinite where no mask of minus infinity is meant."""
    target = program.traced.graph.nodes[node.name]["target"]
    watched = (node in program.sites or target.startswith(_NORMS)) and not masked
    return _any(value, torch.isnan) or (watched and _any(value, torch.isinf))


def _any(value: Any, test: Callable[[Tensor], Tensor]) -> bool:
    return (isinstance(value, Tensor) and value.is_floating_point() and bool(test(value).any()))


_NORMS = ("aten.layer_norm", "aten.batch_norm", "aten._native_batch_norm", "aten.group_norm",
          "aten.rms_norm", "aten.instance_norm")
