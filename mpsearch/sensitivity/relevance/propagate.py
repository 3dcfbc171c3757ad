"""The sweep: from the output backwards over the operations of a captured graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch import metrics
from mpsearch.graph.execute import Program
from mpsearch.graph.sites import Site
from mpsearch.sensitivity.relevance.dispatch import pass_on
from mpsearch.sensitivity.relevance.rules import Rules
from mpsearch.sensitivity.relevance.shares import finite
from mpsearch.sensitivity.relevance.step import Step, name_of


def start(output: Tensor) -> Tensor:
    """Relevance at the model's *output*: one for the top class of each sample and position.

    Of the output's shape, in at least single precision, zero for all other classes.

    Raises:
        BadInput: the output has no dimension of classes.
    """
    dim = metrics.class_dim(output)
    nothing = torch.zeros_like(output, dtype=_precise(output), requires_grad=False)
    return nothing.scatter(dim, output.detach().argmax(dim, keepdim=True), 1)


@torch.no_grad()
def propagate(program: Program, first: int, last: int,  # noqa: PLR0917 - all are needed
              values: Mapping[Node, Any],
              relevance: dict[Node, Tensor], rules: Rules,
              visit: Callable[[Site, Tensor], None]) -> None:
    """Go backwards over operations *first* to *last* (excluded) of the program.

    Layer-wise relevance propagation (Bach et al., 2015) with the rules of Chefer et al. (2021)
    for attention and residual connections, and z-B (Montavon et al., 2017) at the input.

    *values* holds the value of every node that is read or written there. *relevance* maps a node
    to the relevance of its output, of its shape; on entry those of nodes used at or after *last*
    (the sum over users already passed), on return those of nodes before *first* that are read in
    the range (added to what was there). The relevance of the range's own nodes is dropped once
    it is passed on, but for the model's inputs.

    ``visit(site, R)`` is called at each site with the total relevance of its output, of its
    shape and finite, before it is passed on; with zeros where no relevance gets.

    A sweep in pieces, from the back, gives the same numbers as one over all. No cut may lie
    between an operation with several outputs and those that pick them, such as ``split`` and
    its ``getitem``.
    """
    picked: dict[Node, dict[int, Tensor]] = {}
    for node in reversed(program.nodes[first:last]):
        if node.op != "call_function":
            continue
        total = relevance.pop(node, None)
        given = picked.pop(node, {}) if total is None else {0: total.to(_precise(total))}
        site = program.sites.get(node)
        if site is not None:
            value = values[node]
            visit(site, given[0] if given else torch.zeros_like(value, dtype=_precise(value)))
        if not given:
            continue
        source = node.args[0] if name_of(node) == "getitem" else None
        if isinstance(source, Node) and isinstance(values.get(source), (tuple, list)):
            _pick(picked.setdefault(source, {}), int(node.args[1]) % len(values[source]), given[0])  # type: ignore[arg-type]
            continue
        step = Step(program, node, values, next(iter(given.values())).dtype)
        for place, share in pass_on(step, given, rules).items():
            _add(relevance, step.sources[place], share)


def _pick(outputs: dict[int, Tensor], number: int, relevance: Tensor) -> None:
    outputs[number] = outputs[number] + relevance if number in outputs else relevance


def _add(relevance: dict[Node, Tensor], node: Node, share: Tensor) -> None:
    share = finite(share.detach())
    before = relevance.get(node)
    relevance[node] = share if before is None else before + share


def _precise(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
