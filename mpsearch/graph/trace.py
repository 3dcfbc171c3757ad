"""Capture a module as a graph of ATen operations that can be read, grouped and re-run."""

from __future__ import annotations

import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.graph.record import record

_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A captured module.

    *program* is the executable graph over the module's own tensors; *graph* the same as a
    networkx digraph whose nodes carry ``fx`` (the operation), ``target``, ``module`` (path of the
    torch module it ran in) and ``shape`` (None where the value is no tensor); *parameters* gives, for a ``get_attr`` node's name,
    every name the stored tensor has in the module. *batch* is the only batch size the graph
    accepts, None for any. *notes* is what the user should be told.
    """

    program: GraphModule
    graph: nx.DiGraph
    parameters: dict[str, tuple[str, ...]]
    batch: int | None
    notes: tuple[str, ...]


def trace(model: nn.Module, args: tuple[Tensor, ...]) -> Traced:
    """Capture *model* on example inputs *args* (batch first, any number of samples).

    torch.export captures the whole graph, with any batch size where the model allows it. Where
    export fails, one run is recorded instead, which freezes control flow and batch size; the
    notes say so.

    Raises:
        BadInput: the model does not run on the example.
        Unsupported: the captured graph computes something else than the model.
    """
    example = _at_least_two(args)
    expected = _run_eagerly(model, example)
    notes: list[str] = []
    try:
        program = _export(model, example)
    except Exception as error:  # noqa: BLE001 - export raises nearly every type there is
        program = _record(model, example, error)
        notes.append(
            "torch.export could not capture this model "
            f"({_first_line(error)}); one run was recorded instead: control flow and batch size "
            f"({example[0].shape[0]}) are those of that run"
        )
    _verify(program, example, expected)
    names = _names_by_tensor(model)
    parameters = {
        node.name: names.get(id(_attribute(program, str(node.target))), (str(node.target),))
        for node in program.graph.nodes
        if node.op == "get_attr"
    }
    batch = None if not notes and _any_batch(program) else int(example[0].shape[0])
    if batch is not None and not notes:
        notes.append(f"the captured graph only accepts batches of {batch}: others are padded")
    return Traced(program=program, graph=digraph(program), parameters=parameters, batch=batch,
                  notes=tuple(notes))


def digraph(program: GraphModule) -> nx.DiGraph:
    """The operations of *program* as a networkx digraph, in order of execution."""
    graph = nx.DiGraph()
    for node in program.graph.nodes:
        graph.add_node(node.name, fx=node, target=_target(node), module=module_path(node),
                       shape=_shape(node))
        graph.add_edges_from((source.name, node.name) for source in node.all_input_nodes)
    return graph


def module_path(node: Node) -> str:
    """Dotted path of the torch module whose forward made *node*; empty for the outermost."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [str(path) for path, _ in stack.values() if not str(path).startswith("_empty")]
    return _clean(paths[-1]) if paths else ""


def first_tensor(output: Any) -> Tensor:
    """The first floating-point tensor in a model's output, which metrics are computed on.

    Raises:
        BadInput: there is none.
    """
    leaves = torch.utils._pytree.tree_leaves(output)  # noqa: SLF001 - the flattener of torch.export
    for leaf in leaves:
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            return leaf
    raise BadInput("the model returns no floating-point tensor to measure")


def _at_least_two(args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # torch.export specialises dimensions of size one.
    if args[0].shape[0] >= 2:  # noqa: PLR2004
        return args
    return tuple(torch.cat([arg, arg]) if arg.dim() and arg.shape[0] == 1 else arg for arg in args)


def _run_eagerly(model: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
    try:
        with torch.no_grad():
            return first_tensor(model(*args))
    except BadInput:
        raise
    except Exception as error:
        shapes = ", ".join(str(tuple(arg.shape)) for arg in args)
        raise BadInput(f"the model does not run on the data (inputs of shape {shapes}): "
                       f"{_first_line(error)}") from error


def _export(model: nn.Module, args: tuple[Tensor, ...]) -> GraphModule:
    size = args[0].shape[0]
    dims = tuple({0: torch.export.Dim.AUTO} if arg.dim() and arg.shape[0] == size else None
                 for arg in args)
    with _quiet(), torch.no_grad():
        exported = torch.export.export(model, args, dynamic_shapes=_wrapped(model, dims),
                                       strict=False)
        # An empty table keeps every operation whole but makes the graph functional, so that
        # re-running a part of it never overwrites a kept activation.
        program = exported.run_decompositions({}).module(check_guards=False)
    if not isinstance(program, GraphModule):
        raise Unsupported("torch.export returned no graph module")
    return program


def _wrapped(model: nn.Module, dims: tuple[Any, ...]) -> Any:
    # A forward that takes *args sees one tuple argument.
    kinds = [p.kind for p in inspect.signature(model.forward).parameters.values()]
    return (dims,) if kinds and kinds[0] is inspect.Parameter.VAR_POSITIONAL else dims


def _record(model: nn.Module, args: tuple[Tensor, ...], reason: Exception) -> GraphModule:
    try:
        with _quiet():
            return record(model, args)
    except Exception as error:
        raise Unsupported(f"the model cannot be captured: torch.export says {_first_line(reason)}; "
                          f"recording one run says {_first_line(error)}") from error


def _verify(program: GraphModule, args: tuple[Tensor, ...], expected: Tensor) -> None:
    with torch.no_grad():
        found = first_tensor(program(*args))
    scale = float(expected.abs().max()) + torch.finfo(torch.float32).tiny
    same = found.shape == expected.shape
    error = float((found - expected).abs().max()) / scale if same else float("inf")
    if error > _TOLERANCE:  # a comparison with NaN passes: non-finite values are reported by name
        raise Unsupported(f"the captured graph differs from the model by {error:.1e} of its largest "
                          "output: the model is not a function of its inputs alone")


def _names_by_tensor(model: nn.Module) -> dict[int, tuple[str, ...]]:
    names: dict[int, tuple[str, ...]] = {}
    for listing in (model.named_parameters, model.named_buffers):
        for name, tensor in listing(remove_duplicate=False):
            names[id(tensor)] = (*names.get(id(tensor), ()), name)
    return names


def _attribute(program: GraphModule, target: str) -> Any:
    value: Any = program
    for part in target.split("."):
        value = getattr(value, part)
    return value


def _any_batch(program: GraphModule) -> bool:
    first = next(node for node in program.graph.nodes if node.op == "placeholder")
    return isinstance(first.meta["val"].shape[0], torch.SymInt)


def _target(node: Node) -> str:
    if node.op != "call_function":
        return str(node.target)
    return str(getattr(node.target, "__name__", node.target)
               if not isinstance(node.target, torch._ops.OpOverload) else node.target)  # noqa: SLF001


def _shape(node: Node) -> tuple[int | str, ...] | None:
    value = node.meta.get("val")
    if isinstance(value, (tuple, list)):
        value = value[0] if value else None
    if not isinstance(value, Tensor):
        return None
    return tuple(dim if isinstance(dim, int) else str(dim) for dim in value.shape)


def _clean(path: str) -> str:
    return path.removeprefix("L['self'].").removeprefix("L['self']")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


@contextmanager
def _quiet() -> Iterator[None]:
    # torch logs, warns and prints a page when it gives up; the caller says it in one line.
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (warnings.catch_warnings(), redirect_stdout(io.StringIO()),
              redirect_stderr(io.StringIO())):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
