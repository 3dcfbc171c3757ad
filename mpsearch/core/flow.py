"""What a model does for one sample, operation by operation, as plain data: work, shapes, memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mpsearch.core.types import LayerSpec, Scheme, SearchSpace

StepKind = Literal["layer", "attention", "softmax", "norm", "activation", "arithmetic", "move",
                   "view", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something that a machine runs: one operation on shapes for one sample.

    *operation* is the kind of the layer (``linear``) or the name of another operation
    (``softmax``), *layer* the quantisable layer that it is, if any. *inputs* (of which *others*
    are the second operand's), *outputs* and *weights* are elements read and written, *macs*
    multiply-accumulates.
    """

    operation: str
    shape: str
    kind: StepKind
    layer: str = ""
    macs: int = 0
    inputs: int = 0
    others: int = 0
    outputs: int = 0
    weights: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation of the captured graph: what runs there, in order.

    *opened* is what runs instead once a layer in it is quantized: the two products and the softmax
    of fused attention. *after* is the number of the step whose result this one alone reads, -1
    where there is none: a fusion may swallow it.
    """

    name: str
    pieces: tuple[Piece, ...]
    opened: tuple[Piece, ...] = ()
    after: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A layer's operand through which a stored tensor is read."""

    layer: str
    operand: Literal["input", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A tensor in memory while the model runs: so many *elements* for one sample.

    It is there from step *first* to step *last*, both included; a model's input from -1 on. *bits*
    is the width of an element in float. *floating* says that something beside quantisable layers
    reads it (or it is the model's output), so that it cannot be stored as their codes.
    """

    name: str
    elements: int
    bits: int
    first: int
    last: int
    readers: tuple[Reader, ...] = ()
    floating: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The operations of a model in order, and the activations that live while it runs."""

    steps: tuple[Step, ...]
    tensors: tuple[Stored, ...]

    def pieces(self, space: SearchSpace) -> Iterator[tuple[Step, Piece]]:
        """What runs when *space* is searched, in order.

        Fused attention counts in the open where a scheme of the space quantizes one of its
        products, and as one operation where none does.
        """
        quantized = {name for group in space.groups for name in group.layers
                     if not all(scheme.is_float for scheme in group.schemes)}
        for step in self.steps:
            open_ = any(piece.layer in quantized for piece in step.opened)
            yield from ((step, piece) for piece in (step.opened if open_ else step.pieces))

    def needed(self, space: SearchSpace, *, narrowed: bool = False,
               ) -> dict[tuple[str, str, str], tuple[Piece, Scheme]]:
        """Every piece under each of its schemes, by operation, shape and scheme, each once.

        Fused attention that may run in the open is there as a whole too, where it may also not.
        Layers of a skipped branch do not run. *narrowed* ones, which have no shape of their own
        here, are among them only on demand.
        """
        offered = {name: group.schemes for group in space.groups for name in group.layers}
        kinds = {layer.name: layer for layer in space.layers}
        found: dict[tuple[str, str, str], tuple[Piece, Scheme]] = {}
        for step, piece in self.pieces(space):
            if fused_in_float(step, space):
                whole = step.pieces[0]
                found.setdefault((whole.operation, whole.shape, str(Scheme())), (whole, Scheme()))
            for scheme in offered.get(piece.layer, (Scheme(),)):
                own = own_scheme(kinds.get(piece.layer), scheme)
                if own.skips or (own.keep is not None and not narrowed):
                    continue
                found.setdefault((piece.operation, piece.shape, str(own)), (piece, own))
        return found


def fused_in_float(step: Step, space: SearchSpace) -> bool:
    """Whether *step* is fused attention whose products *space* lets both be in float."""
    offered = {name: group.schemes for group in space.groups for name in group.layers}
    products = [piece for piece in step.opened if piece.layer]
    return bool(products) and all(any(
        scheme.for_kind("matmul").is_float for scheme in offered.get(piece.layer, (Scheme(),)))
        for piece in products)


def own_scheme(layer: LayerSpec | None, scheme: Scheme) -> Scheme:
    """What of *scheme* concerns *layer*; float for an operation that is no layer."""
    return scheme.for_kind(layer.kind) if layer is not None else Scheme()


def dims(*shapes: tuple[int, ...]) -> str:
    """Shapes as a table writes them: ``197x384*1536x384``; ``1`` for a single number."""
    return "*".join("x".join(map(str, shape)) or "1" for shape in shapes)
