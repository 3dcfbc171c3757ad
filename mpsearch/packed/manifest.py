"""What the metadata says beside the policy: what is stored how, for which model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from mpsearch.core import io
from mpsearch.core.errors import BadInput

LAYOUT = 1
"""Version of the layout of the file; a reader refuses later ones."""
_MOST_DIMS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A weight that is stored in its format.

    *shape* and *dtype* are those of the model's parameter, *summed* its dimensions that are no
    output channels, *layers* those that compute with it.
    """

    shape: tuple[int, ...]
    dtype: str
    summed: tuple[int, ...]
    layers: tuple[str, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape with the output channels first, as one dimension."""
        kept = 1
        for dim, size in enumerate(self.shape):
            kept *= 1 if dim in self.summed else size
        return (kept, *(self.shape[dim] for dim in self.summed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Shape and type of one input of the call that the model was captured with."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is in the file, for which model.

    *fingerprint* is that of the float model. *weights* are by the parameter's name; everything else
    in the file is stored as it is, under its own name. *aliases* are further names of stored
    tensors. *constants* is a digest of the numbers that the architecture itself computes.
    """

    fingerprint: str
    inputs: tuple[Input, ...]
    weights: dict[str, Stored]
    aliases: dict[str, str] = field(default_factory=dict)
    constants: str = ""


def dumped(value: Any) -> str:
    """*value* as compact ASCII JSON."""
    return json.dumps(io.to_data(value), separators=(",", ":"), allow_nan=False)


def read_manifest(text: str, where: str) -> Manifest:
    """The manifest in *text*.

    Raises:
        BadInput: it is none, or contradicts itself.
    """
    found = io.loads(text.encode("utf-8", "replace"), Manifest, where=f"the manifest in {where}")
    for name, each in found.weights.items():
        dims = range(len(each.shape))
        if (not each.layers or not 0 < len(dims) <= _MOST_DIMS or min(each.shape) < 1
                or list(each.summed) != sorted(set(each.summed) & set(dims))):
            raise BadInput(f"the manifest in {where} is damaged: '{name}' has no possible shape")
    names = {*found.weights, *found.aliases.values()}
    if names & found.aliases.keys():
        raise BadInput(f"the manifest in {where} is damaged: a name stands for itself")
    return found
