"""Find where a model first produces values that are not finite."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.graph.execute import Program


def require_finite(program: Program, args: tuple[Tensor, ...], output: Tensor) -> None:
    """Check the *output* of *program* on *args*.

    Raises:
        BadInput: it has NaN or infinite values; the message names the layer they come from.
    """
    if not bool(torch.isfinite(output).all()):
        raise BadInput(f"the model's output is not finite: NaN or infinite values first appear in "
                       f"layer '{_culprit(program, args)}': check its weights and the inputs")


def _culprit(program: Program, args: tuple[Tensor, ...]) -> str:
    env = program.start(args)
    graph = program.traced.graph
    with torch.no_grad():
        for place, node in enumerate(program.nodes[:-1]):
            program.advance(env, place, place + 1)
            value = env.get(node)
            # A mask of minus infinity is meant; a layer's own output never is.
            watched = node in program.sites or graph.nodes[node.name]["target"].startswith(_NORMS)
            if isinstance(value, Tensor) and value.is_floating_point() and (
                    bool(value.isnan().any()) or (watched and bool(value.isinf().any()))):
                site = program.sites.get(node)
                return site.layers[0] if site else graph.nodes[node.name]["module"] or node.name
    return "the last one"


_NORMS = ("aten.layer_norm", "aten.batch_norm", "aten._native_batch_norm", "aten.group_norm")
