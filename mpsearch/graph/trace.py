"""Capture a module as a graph of ATen operations that can be read, grouped and re-run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.graph.export import export, quiet
from mpsearch.graph.record import record
from mpsearch.graph.samples import repeat
from mpsearch.graph.tidy import attribute, tidy

_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A captured module.

    *program* is the executable graph over the module's own tensors; *graph* the same as a
    networkx digraph whose nodes carry ``fx`` (the operation), ``target``, ``module`` (path of the
    torch module it ran in) and ``shape`` (None where the value is no tensor); *parameters* gives,
    for a ``get_attr`` node's name, every name the stored tensor has in the module. *batch* is the
    only batch size the graph accepts, None for any. *notes* is what the user should be told.
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
    with _state_kept(model):
        expected = _run_eagerly(model, example)
        program, any_batch, notes = _capture(model, example)
        _verify(program, example, expected)
    names = _names_by_tensor(model)
    parameters = {
        node.name: names.get(id(attribute(program, str(node.target))), (str(node.target),))
        for node in program.graph.nodes
        if node.op == "get_attr"
    }
    return Traced(program=program, graph=digraph(program), parameters=parameters,
                  batch=None if any_batch else int(example[0].shape[0]), notes=notes)


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


def _capture(model: nn.Module, args: tuple[Tensor, ...],
             ) -> tuple[GraphModule, bool, tuple[str, ...]]:
    size = args[0].shape[0]
    try:
        program, any_batch = export(model, args)
    except Exception as error:  # noqa: BLE001 - export raises nearly every type there is
        program = _record(model, args, error)
        tidy(program)
        note = (f"torch.export could not capture this model ({_first_line(error)}); one run was "
                f"recorded instead: control flow and batch size ({size}) are those of that run")
        return program, False, (note,)
    tidy(program)
    if any_batch and _agree(program, model, repeat(args, 2 if size % 2 else 3)):
        return program, True, ()
    note = f"the captured graph only accepts batches of {size}: smaller ones are padded"
    return program, False, (note,)


def _record(model: nn.Module, args: tuple[Tensor, ...], reason: Exception) -> GraphModule:
    try:
        with quiet():
            return record(model, args)
    except Exception as error:
        raise Unsupported(f"the model cannot be captured: torch.export says {_first_line(reason)}; "
                          f"recording one run says {_first_line(error)}") from error


def _verify(program: GraphModule, args: tuple[Tensor, ...], expected: Tensor) -> None:
    error = _difference(program, args, expected)
    if error > _TOLERANCE:  # a comparison with NaN passes: non-finite values are reported by name
        raise Unsupported(f"the captured graph differs from the model by {error:.1e} of its "
                          "largest output: the model is not a function of its inputs alone")


def _agree(program: GraphModule, model: nn.Module, args: tuple[Tensor, ...]) -> bool:
    """Whether the graph holds for this other number of samples: a model may branch on it."""
    try:
        return not _difference(program, args, _run_eagerly(model, args)) > _TOLERANCE
    except Exception:  # noqa: BLE001 - either may refuse in any way
        return False


def _difference(program: GraphModule, args: tuple[Tensor, ...], expected: Tensor) -> float:
    with torch.no_grad():
        found = first_tensor(program(*args))
    if found.shape != expected.shape:
        return float("inf")
    scale = float(expected.abs().max()) + torch.finfo(torch.float32).tiny
    return float((found - expected).abs().max()) / scale


def _names_by_tensor(model: nn.Module) -> dict[int, tuple[str, ...]]:
    names: dict[int, tuple[str, ...]] = {}
    for listing in (model.named_parameters, model.named_buffers):
        for name, tensor in listing(remove_duplicate=False):
            names[id(tensor)] = (*names.get(id(tensor), ()), name)
    return names


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
def _state_kept(model: nn.Module) -> Iterator[None]:
    # Some models count their calls, or cache, in a buffer.
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)
