"""What a picture of the loss against the size shows, as plain data that can be saved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation, Scheme

Operand = Literal["weight", "input", "other"]
Bits = tuple[int | None, ...]
_OPERANDS: tuple[Operand, ...] = ("weight", "input", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One solved budget of the predicted front; *label* where it is a policy with a name."""

    bits_per_weight: float
    size_bits: int
    file_bytes: int
    predicted_loss: float
    label: str = ""
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPoint:
    """One policy that was run: its size, what was predicted, and what was measured."""

    label: str
    bits_per_weight: float
    file_bytes: int
    predicted_loss: float | None = None
    evaluation: Evaluation
    kind: Literal["allocated", "uniform"]
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BitsRow:
    """Bits of one operand of every layer under one policy; None is floating point or absent."""

    label: str
    operand: Operand
    bits: Bits


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBits:
    """Bits per layer of one or a few policies; *names* are the layers in order of execution."""

    names: tuple[str, ...] = ()
    rows: tuple[BitsRow, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.bits) != len(self.names):
                raise BadInput(f"row '{row.label}' has {len(row.bits)} bits for "
                               f"{len(self.names)} layers")

    @classmethod
    def of(cls, policies: Mapping[str, Mapping[str, Scheme]], names: Sequence[str]) -> Self:
        """The rows that say something about *policies* (schemes by layer name, by label).

        Every policy has a row for each operand whose bits differ between layers in one of them,
        or, where none do, for the first operand that is quantized at all. Layers that no row
        quantizes are left out.
        """
        full = {(label, operand): _bits(schemes, names, operand)
                for label, schemes in policies.items() for operand in _OPERANDS}
        shown = _worth_showing(full)
        rows = {key: bits for key, bits in full.items() if key[1] in shown and any(bits)}
        kept = [i for i in range(len(names)) if any(bits[i] for bits in rows.values())]
        return cls(names=tuple(names[i] for i in kept), rows=tuple(
            BitsRow(label=label, operand=operand, bits=tuple(bits[i] for i in kept))
            for (label, operand), bits in rows.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Loss against bits per weight for one model: predicted, measured, and bits per layer.

    Or against milliseconds on *device*, where it was swept *over* ``latency``.

    *estimator* made the predicted losses, in *unit*; *space* names the search space; *chosen* is
    the label of the policy that was asked for; *notes* are what the user should know.
    """

    model: str
    estimator: str
    space: str
    unit: str
    predicted: tuple[FrontPoint, ...] = ()
    measured: tuple[MeasuredPoint, ...] = ()
    layers: LayerBits = field(default_factory=LayerBits)
    chosen: str | None = None
    notes: tuple[str, ...] = ()
    over: Literal["size", "latency"] = "size"
    device: str = ""

    @property
    def placed(self) -> Front:
        """This front as pictures place it: what it was swept over in the place of the size."""
        if self.over == "size":
            return self
        return replace(
            self, predicted=tuple(replace(p, bits_per_weight=p.latency_ms or 0.0)
                                  for p in self.predicted),
            measured=tuple(replace(p, bits_per_weight=p.latency_ms or 0.0)
                           for p in self.measured))


def save_front(front: Front, path: str | os.PathLike[str]) -> None:
    """Write the numbers behind a picture as JSON, atomically.

    Raises:
        BadInput: the place cannot be written.
    """
    io.save(path, front)


def load_front(path: str | os.PathLike[str]) -> Front:
    """Read what `save_front` wrote.

    Raises:
        BadInput: the file is missing, truncated, or not a front.
    """
    return io.load(path, Front)


def _worth_showing(rows: Mapping[tuple[str, Operand], Bits]) -> list[Operand]:
    varied = {operand for (_, operand), bits in rows.items() if len(set(bits) - {None}) > 1}
    used = {operand for (_, operand), bits in rows.items() if any(bits)}
    return [operand for operand in _OPERANDS if operand in varied] or [
        operand for operand in _OPERANDS if operand in used][:1]


def _bits(schemes: Mapping[str, Scheme], names: Sequence[str],
          operand: Operand) -> Bits:
    found = [schemes.get(name, Scheme()) for name in names]
    formats = [getattr(scheme, operand) for scheme in found]
    return tuple((0 if scheme.skips else None) if fmt is None else fmt.bits
                 for scheme, fmt in zip(found, formats, strict=True))
