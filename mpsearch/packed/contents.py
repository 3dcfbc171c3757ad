"""From a captured model under a policy to what goes into its file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.formats import Format
from mpsearch.core.types import Policy
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.fingerprint import unique_state
from mpsearch.graph.layers import Layers
from mpsearch.packed.container import METADATA
from mpsearch.packed.manifest import Input, Manifest, Stored
from mpsearch.packed.types import NAMES, bytes_of, name_of
from mpsearch.quantizers.packing import packed_tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Storable:
    """What of a model can be stored: its weights, and everything else that it keeps.

    *weights* are those of quantisable layers, by their first name, and *others* the other tensors;
    *aliases* are further names of either.
    """

    weights: dict[str, Stored]
    tensors: dict[str, Tensor]
    others: dict[str, Tensor]
    aliases: dict[str, str]


def storable(module: nn.Module, program: Program, layers: Layers) -> Storable:
    """What of *module*, captured as *program* with these *layers*, can be stored."""
    weights: dict[str, Stored] = {}
    tensors: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    for spec in layers.specs:
        call = layers.call(spec.name)
        if call.parameter is None:
            continue
        first, *more = program.traced.parameters[call.parameter.name]
        tensors[first] = program.parameters[call.parameter]
        known = weights[first].layers if first in weights else ()
        weights[first] = Stored(
            shape=tuple(tensors[first].shape), dtype=NAMES.get(tensors[first].dtype, ""),
            summed=tuple(call.summed), layers=(*known, spec.name))
        aliases |= dict.fromkeys(more, first)
    others = {}
    for name, (tensor, names) in unique_state(module).items():
        if weights.keys().isdisjoint(names):
            others[name] = tensor
            aliases |= dict.fromkeys(names[1:], name)
    return Storable(weights=weights, tensors=tensors, others=others, aliases=aliases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A policy, what is stored how, and the tensors by their names in the file."""

    policy: Policy
    manifest: Manifest
    tensors: Mapping[str, Tensor]


def contents_of(policy: Policy, found: Storable, fake: FakeQuantizer, inputs: Iterable[Input],
                constants: str) -> Contents:
    """Everything that the model needs to run under *policy*.

    Raises:
        BadInput: layers that share a weight, in different formats.
        Unsupported: two tensors would have one name.
    """
    weights: dict[str, Stored] = {}
    tensors = dict(found.others)
    for name, stored in found.weights.items():
        fmt = weight_format(policy, name, stored)
        if fmt is None:
            parts = {name: found.tensors[name]}
        else:
            name_of(found.tensors[name], name)
            weights[name] = stored
            codes, params = fake.weights.encode(stored.layers[0], fmt)
            parts = {f"{name}_{part.removeprefix('weight_')}": tensor
                     for part, tensor in packed_tensors(codes, params, fmt, stored.rows).items()}
        twice = sorted((parts.keys() & tensors.keys()) | (parts.keys() & {METADATA}))
        if twice:
            raise Unsupported(f"the packed file would have two tensors '{twice[0]}': rename the "
                              "model's own")
        tensors |= parts
    return Contents(policy=policy, tensors=tensors, manifest=Manifest(
        fingerprint=policy.model.fingerprint, inputs=tuple(inputs), weights=weights,
        aliases=found.aliases, constants=constants))


def weight_format(policy: Policy, name: str, stored: Stored) -> Format | None:
    """The format of the weight *name* under *policy*.

    Raises:
        BadInput: the policy lacks one of its layers, or they do not agree.
    """
    formats = {policy.layers[layer].weight if layer in policy.layers else ""
               for layer in stored.layers}
    if len(formats) > 1 or "" in formats:
        raise BadInput(f"layers {' and '.join(stored.layers)} share the weight '{name}' and need "
                       "one format for it: give them the same in the policy")
    fmt = formats.pop()
    return fmt if isinstance(fmt, Format) else None


def constants_digest(program: Program, stored: Iterable[str]) -> str:
    """A digest of the tensors that the graph reads and that are not among those *stored*."""
    names, digest = set(stored), hashlib.sha256()
    for node, tensor in sorted(program.parameters.items(), key=lambda item: item[0].name):
        if isinstance(tensor, Tensor) and names.isdisjoint(program.traced.parameters[node.name]):
            digest.update(f"{tuple(tensor.shape)} {tensor.dtype};".encode())
            digest.update(bytes_of(tensor))
    return digest.hexdigest()[:16]
