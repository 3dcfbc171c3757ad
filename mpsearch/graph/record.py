"""Record one run of a module as a graph, for models that torch.export cannot capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import get_proxy_mode, make_fx

from mpsearch.core.errors import Unsupported


def record(model: nn.Module, args: tuple[Tensor, ...]) -> GraphModule:
    """The ATen operations that *model* ran on *args*; branches taken and shapes are frozen.

    Parameters appear as attributes that hold the model's own tensors, and nodes carry the path of
    the module that ran them.

    Raises:
        Unsupported: an in-place operation writes through a view.
    """
    paths: dict[str, str] = {}

    def run(*inputs: Tensor) -> Any:
        return model(*inputs)

    with torch.no_grad(), _module_paths(model, paths):
        program = make_fx(run, tracing_mode="real", pre_dispatch=True,
                          _error_on_data_dependent_ops=False)(*args)
    for node in program.graph.nodes:
        if node.name in paths:
            node.meta["nn_module_stack"] = {"": (paths[node.name], "")}
    _drop_in_place(program)
    return program


@contextmanager
def _module_paths(model: nn.Module, paths: dict[str, str]) -> Iterator[None]:
    starts: list[int] = []

    def enter(_module: nn.Module, _args: Any) -> None:
        starts.append(len(_nodes()))

    def leave(path: str) -> Callable[..., None]:
        def note(*_: Any) -> None:
            for node in _nodes()[starts.pop():]:
                paths.setdefault(node.name, path)  # inner modules leave first

        return note

    handles = []
    for path, module in model.named_modules():
        handles += [module.register_forward_pre_hook(enter),
                    module.register_forward_hook(leave(path))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _nodes() -> list[Node]:
    mode = get_proxy_mode()
    if mode is None:
        raise Unsupported("the recorder is not active")
    return list(mode.tracer.graph.nodes)


def _drop_in_place(program: GraphModule) -> None:
    """Turn in-place operations into their out-of-place twins, so that parts can be re-run."""
    order = {node: place for place, node in enumerate(program.graph.nodes)}
    for node in list(program.graph.nodes):
        target = node.target
        if not isinstance(target, torch._ops.OpOverload) or not _writes_first(target):  # noqa: SLF001
            continue
        written = node.args[0]
        if _is_view(written) or any(_is_view(user) for user in written.users):
            raise Unsupported(f"{target} writes through a view")
        node.target = getattr(getattr(torch.ops.aten, target.overloadpacket.__name__[:-1]),
                              target._overloadname)  # noqa: SLF001
        written.replace_all_uses_with(
            node, delete_user_cb=lambda user, here=node: order[user] > order[here])
    program.recompile()


def _writes_first(target: torch._ops.OpOverload) -> bool:
    arguments = target._schema.arguments  # noqa: SLF001
    alias = arguments[0].alias_info if arguments else None
    return alias is not None and alias.is_write and target.overloadpacket.__name__.endswith("_")


def _is_view(node: Node) -> bool:
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):  # noqa: SLF001
        return False
    return target.is_view
