"""Fill a bare architecture with what a packed file holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mpsearch.core.errors import BadInput, MpsearchError
from mpsearch.packed.checking import named
from mpsearch.packed.decoding import Weight
from mpsearch.packed.reading import Packed
from mpsearch.packed.types import TORCH
from mpsearch.sources.model import LoadedModel, build_model
from mpsearch.sources.names import is_timm_name
from mpsearch.sources.weights import check_finite

_ADVICE = "give --model the architecture that the file was made from"
_ARCHITECTURES = {"mpsearch.zoo.digits:model": "mpsearch.zoo.digits:architecture"}
"""Models that come with the package and read their float weights, and what builds them bare."""


def filled(packed: Packed, source: str, weights: Mapping[str, Weight]) -> LoadedModel:
    """The architecture that *source* names, with the numbers of *packed* in it.

    Raises:
        BadInput: it cannot be built, or stores something else than the file holds.
    """
    spec = _ARCHITECTURES.get(source, source)
    if is_timm_name(spec):
        _check_before(packed, spec)
    loaded = build_model(spec)
    fill(packed, loaded.module, weights)
    return LoadedModel(module=loaded.module, source=source, preprocessing=loaded.preprocessing,
                       notes=loaded.notes)


def fill(packed: Packed, module: nn.Module, weights: Mapping[str, Weight]) -> None:
    """Copy the numbers of *packed* into *module*; those of packed *weights* decoded.

    Raises:
        BadInput: the module stores something else than the file holds.
    """
    _check_state(packed, module)
    numbers: dict[str, Tensor] = {**packed.others, **{
        name: weight.dense() for name, weight in weights.items()}}
    numbers |= {name: numbers[first] for name, first in packed.manifest.aliases.items()}
    own = module.state_dict()
    module.load_state_dict({name: numbers[name] for name in own})
    check_finite(module, packed.path)


def _check_before(packed: Packed, name: str) -> None:
    """Check the file against the model before memory is taken for the latter's weights."""
    try:
        with torch.device("meta"):
            module = build_model(name).module
    except MpsearchError:  # some models compute with their weights while they are built
        return
    _check_state(packed, module)


def _check_state(packed: Packed, module: nn.Module) -> None:
    manifest = packed.manifest
    held = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in packed.others.items()}
    held |= {name: (each.shape, TORCH[each.dtype]) for name, each in manifest.weights.items()}
    held |= {name: held[first] for name, first in manifest.aliases.items()}
    own = {name: (tuple(tensor.shape), tensor.dtype)
           for name, tensor in module.state_dict().items()}
    missing, unknown = sorted(own.keys() - held), sorted(held.keys() - own)
    unstored = {*manifest.weights, *manifest.aliases}  # a weight may be a mere attribute
    if missing or set(unknown) - unstored:
        what = f"lacks {named(missing)}" if missing else f"has {named(unknown)} that it lacks"
        raise BadInput(f"{packed.path} does not fit the model: it {what}: {_ADVICE}")
    for name, (wanted, kind) in own.items():
        shape, dtype = held[name]
        if (shape, dtype) != (wanted, kind):
            raise BadInput(f"{packed.path} does not fit the model: '{name}' is {list(shape)} "
                           f"{dtype} in the file and {list(wanted)} {kind} in the model: {_ADVICE}")
