"""Which tensors of a run are stored apart from each other, how long they live, and who reads them.

A view shares what it looks at. A tensor that is only ever cut into parts (queries, keys and values
of one projection) counts as those parts: each has its own readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor
from torch.fx import Node

from mpsearch.core.flow import Reader, Stored
from mpsearch.graph import operations
from mpsearch.graph.execute import Program, Shapes
from mpsearch.graph.sites import Site

_OPERANDS: tuple[Literal["input", "other"], ...] = ("input", "other")


@dataclass(kw_only=True)
class _Kept:
    """One storage while the graph is walked. *parts* are what it is cut into, by place."""

    name: str
    elements: int
    bits: int
    first: int
    last: int
    whole: _Kept | None = None
    readers: list[Reader] = field(default_factory=list)
    floating: bool = False
    parts: dict[int, _Kept] = field(default_factory=dict)


class Storage:
    """Walks the operations in order and notes what each makes and reads."""

    def __init__(self, program: Program, batch: int, shapes: Shapes) -> None:
        self._program, self._batch, self._shapes = program, batch, shapes
        self._home: dict[Node, _Kept] = {}
        self._cut: dict[Node, _Kept] = {}
        self._kept: list[_Kept] = []

    def given(self, node: Node, value: Tensor) -> None:
        """Note an input of the model."""
        self._add(node, [value], -1)

    def made(self, node: Node, value: Any, before: Mapping[Node, Any], step: int) -> bool:
        """Note what *node* made of what was there *before*; whether that is only a view of it."""
        tensors = _tensors(value)
        whole = next((self._home[source] for source, there in before.items()
                      if source in self._home and _share(there, tensors)), None)
        self._read(node, step, view=whole is not None)
        picked = getattr(node.target, "__name__", "") == "getitem"
        if picked and node.args[0] in self._cut:
            self._home[node] = self._part(node, tensors)
        elif whole is None:
            self._add(node, tensors, step)
        else:
            self._home[node] = whole
            if len(tensors) > 1 and sum(map(self._elements(node), tensors)) == whole.elements:
                self._cut[node] = whole
        return whole is not None

    def read_alone(self, node: Node) -> Node | None:
        """The latest operation whose result only *node* reads."""
        alone = [source for source in node.all_input_nodes if len(source.users) == 1]
        return max(alone, key=lambda source: self._program.position[source], default=None)

    def tensors(self, end: int) -> tuple[Stored, ...]:
        """Everything that was stored, in order; what is returned lives to the *end*."""
        for node in self._program.nodes[-1].all_input_nodes:
            if node in self._home:
                kept = self._home[node]
                kept.floating = True
                self._live(kept, end)
        return tuple(_stored(kept) for whole in self._kept for kept in _apart(whole))

    def _read(self, node: Node, step: int, *, view: bool) -> None:
        site = self._program.sites.get(node)
        in_place = str(node.target).split(".")[1:2] and str(node.target).split(".")[1].endswith("_")
        for source in node.all_input_nodes:
            kept = self._home.get(source)
            if kept is None:
                continue
            self._live(kept, step)
            readers = [] if site is None else _operands(site, source)
            kept.readers += readers
            if not readers and (in_place or not view) and source not in self._cut:
                kept.floating = True

    def _live(self, kept: _Kept, step: int) -> None:
        kept.last = max(kept.last, step)
        if kept.whole is not None:
            kept.whole.last = max(kept.whole.last, step)

    def _part(self, node: Node, tensors: list[Tensor]) -> _Kept:
        whole, place = self._cut[node.args[0]], node.args[1]  # type: ignore[index]
        made = _Kept(name=node.name, elements=sum(map(self._elements(node), tensors)),
                     bits=whole.bits, first=whole.first, last=whole.last, whole=whole)
        return whole.parts.setdefault(int(place), made)  # type: ignore[arg-type]

    def _add(self, node: Node, tensors: list[Tensor], step: int) -> None:
        if not tensors:
            return
        bits = max(tensor.element_size() for tensor in tensors) * 8
        made = _Kept(name=node.name, elements=sum(map(self._elements(node), tensors)), bits=bits,
                     first=step, last=step)
        self._home[node] = made
        self._kept.append(made)

    def _elements(self, node: Node) -> Any:
        """Elements for one sample of a tensor that *node* made."""
        shared = node in self._shapes.shapes and self._shapes.sample_axes.get(node) is None
        return lambda tensor: tensor.numel() if shared else -(-tensor.numel() // self._batch)


def _apart(kept: _Kept) -> list[_Kept]:
    """The parts of what is only ever cut, or the whole with the readers of its parts."""
    parts = list(kept.parts.values())
    if parts and not kept.readers and not kept.floating and (
            sum(part.elements for part in parts) == kept.elements):
        return parts
    for part in parts:
        kept.readers += part.readers
        kept.floating |= part.floating
    return [kept]


def _stored(kept: _Kept) -> Stored:
    return Stored(name=kept.name, elements=kept.elements, bits=kept.bits, first=kept.first,
                  last=kept.last, readers=tuple(dict.fromkeys(kept.readers)),
                  floating=kept.floating or not kept.readers)


def _operands(site: Site, source: Node) -> list[Reader]:
    """Through which operands the layers at *site* read *source*."""
    found: list[Reader] = []
    for call in site.calls:
        for name in _OPERANDS:
            part = getattr(call.operation, name)
            inside = len(site.calls) > 1 and call is site.calls[1] and name == "input"
            if part is not None and not inside and (
                    operations.argument(site.node, part.index) is source):
                found.append(Reader(layer=call.layer, operand=name))
    return found


def _tensors(value: Any) -> list[Tensor]:
    parts = value if isinstance(value, tuple | list) else [value]
    return [part for part in parts if isinstance(part, Tensor)]


def _share(there: Any, tensors: list[Tensor]) -> bool:
    if not tensors:
        return False
    places = {part.untyped_storage().data_ptr() for part in _tensors(there)}
    return tensors[0].untyped_storage().data_ptr() in places
