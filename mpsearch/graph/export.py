"""Capture a module with torch.export: the whole graph, for any batch size where that can be."""

from __future__ import annotations

import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from mpsearch.core.errors import Unsupported


def export(model: nn.Module, args: tuple[Tensor, ...]) -> tuple[GraphModule, bool]:
    """The operations of *model*, and whether their shapes allow any number of samples.

    *args* have samples first, at least two. torch.export raises nearly every type of error there
    is.
    """
    size = args[0].shape[0]
    dims = tuple({0: torch.export.Dim.AUTO} if arg.dim() and arg.shape[0] == size else None
                 for arg in args)
    with quiet(), torch.no_grad():
        exported = torch.export.export(model, args, dynamic_shapes=_wrapped(model, dims),
                                       strict=False)
        # An empty table keeps every operation whole but makes the graph functional, so that
        # re-running a part of it never overwrites a kept activation.
        program = exported.run_decompositions({}).module(check_guards=False)
    if not isinstance(program, GraphModule):
        raise Unsupported("torch.export returned no graph module")
    return program, _any_batch(exported, program)


def _wrapped(model: nn.Module, dims: tuple[Any, ...]) -> Any:
    # What a forward takes as *args is one tuple argument.
    kinds = [p.kind for p in inspect.signature(model.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return dims
    named = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*dims[:named], dims[named:]) if len(dims) > named else dims


def _any_batch(exported: ExportedProgram, program: GraphModule) -> bool:
    first = next(node for node in program.graph.nodes if node.op == "placeholder")
    if not isinstance(first.meta["val"].shape[0], torch.SymInt):
        return False
    # Sizes are the only symbols: a bound on one is a branch on the number of samples.
    return not any(bool(limits.upper < torch.iinfo(torch.int64).max)
                   for limits in exported.range_constraints.values())


@contextmanager
def quiet() -> Iterator[None]:
    """Silence torch, which logs, warns and prints a page when it gives up on a model."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (warnings.catch_warnings(), redirect_stdout(io.StringIO()),
              redirect_stderr(io.StringIO())):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
