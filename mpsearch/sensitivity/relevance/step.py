"""One operation as relevance sees it: what it reads, what of that is active, how to re-run it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Node
from torch.fx.node import map_arg

from mpsearch.graph.execute import Program

_REACHED: WeakKeyDictionary[Program, frozenset[Node]] = WeakKeyDictionary()


class Step:
    """An operation with the values it reads, cast to *dtype* where they are floating-point.

    Every place at which the operation names another one counts for itself, in order, so that
    ``x * x`` has two: *sources* are the nodes named, *values* what they hold, *places* the
    argument they are in, *output* what the operation made. *active* are the places that can carry
    relevance: floating-point tensors that depend on the model's inputs.
    """

    def __init__(self, program: Program, node: Node, values: Mapping[Node, Any],
                 dtype: torch.dtype) -> None:
        self.node, self.name, self.batch = node, name_of(node), program.traced.batch
        self.sources: list[Node] = []
        self.places: list[int | str] = []
        arguments: list[tuple[int | str, Any]] = [*enumerate(node.args), *node.kwargs.items()]
        for place, argument in arguments:
            map_arg(argument, self.sources.append)
            self.places += [place] * (len(self.sources) - len(self.places))
        stored = program.parameters
        self.values = [_cast(values[source] if source in values else stored[source], dtype)
                       for source in self.sources]
        self.output = _cast(values[node], dtype)
        depends = reached(program)
        self.active = tuple(place for place, source in enumerate(self.sources)
                            if source in depends and _is_float(self.values[place]))

    @property
    def floats(self) -> tuple[int, ...]:
        """Every place with a floating-point tensor."""
        return tuple(place for place, value in enumerate(self.values) if _is_float(value))

    def run(self, replaced: Mapping[int, Tensor]) -> Any:
        """The operation's output, with the values at some places *replaced*."""
        args, kwargs = self._filled(replaced)
        # Values may be laid out in another order than when the graph was captured.
        moved = self.name in {"view", "_unsafe_view"}
        target: Any = torch.ops.aten.reshape.default if moved else self.node.target
        return target(*args, **kwargs)

    def without(self, *places: int) -> dict[int, Tensor]:
        """Zeros for the tensors at *places*."""
        return {place: torch.zeros_like(self.values[place]) for place in places}

    def altered(self, replaced: Mapping[int, Tensor]) -> Step:
        """The same operation with other *values* for good."""
        other = copy(self)
        other.values = [replaced.get(place, value) for place, value in enumerate(self.values)]
        return other

    def named(self) -> dict[str, Any]:
        """The arguments by their names."""
        args, kwargs = self._filled({})
        target: Any = self.node.target
        names = [str(argument.name) for argument in target._schema.arguments]  # noqa: SLF001
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def sample_dim(self, shape: tuple[int, ...]) -> int:
        """The dimension of an output of *shape* along which the samples lie, alone or folded.

        It is the dimension whose size follows the batch's; where the graph has a fixed batch
        size, the first of a fitting size.
        """
        known = getattr(self.node.meta.get("val"), "shape", ())
        for dim, size in enumerate(known):
            if not isinstance(size, int):
                return dim
        batch = self.batch or 1
        fitting = [dim for dim, size in enumerate(shape) if size == batch]
        return 0 if not shape or shape[0] % batch == 0 or not fitting else fitting[0]

    def _filled(self, replaced: Mapping[int, Tensor]) -> tuple[Any, Any]:
        places = count()

        def fill(_: Node) -> Any:
            place = next(places)
            return replaced.get(place, self.values[place])

        return map_arg(self.node.args, fill), map_arg(self.node.kwargs, fill)


def name_of(node: Node) -> str:
    """Name of *node*'s operation without its overload, the same for in-place ones."""
    target = node.target
    name = (target.overloadpacket.__name__ if isinstance(target, OpOverload)
            else getattr(target, "__name__", str(target)))
    return str(name if name.endswith("__") else name.removesuffix("_"))


def reached(program: Program) -> frozenset[Node]:
    """Operations whose numbers, not only shapes, depend on the model's inputs."""
    if program not in _REACHED:
        found: set[Node] = set()
        for node in program.nodes:
            if node.op == "placeholder" or (not found.isdisjoint(node.all_input_nodes)
                                            and not _reads_form_only(name_of(node))):
                found.add(node)
        _REACHED[program] = frozenset(found)
    return _REACHED[program]


def _reads_form_only(name: str) -> bool:
    return name.startswith(("sym_", "new_")) or name.endswith("_like")


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().to(dtype) if value.is_floating_point() else value.detach()
