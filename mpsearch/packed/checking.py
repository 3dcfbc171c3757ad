"""Whether the tensors in the file are those that its policy and manifest call for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.core.types import Policy
from mpsearch.packed.container import METADATA, Entry
from mpsearch.packed.contents import weight_format
from mpsearch.packed.expected import expected_parts
from mpsearch.packed.manifest import Manifest, Stored
from mpsearch.packed.types import TORCH

_SHOWN = 3
_MOST = 1 << 48
"""Numbers of a weight beyond which nothing is computed from its shape."""


def check_tensors(entries: Mapping[str, Entry], manifest: Manifest, policy: Policy,
                  where: str) -> dict[str, dict[str, str]]:
    """Check every tensor of a packed weight, and every name.

    Returns the names of the tensors that each packed weight consists of, by their suffix.

    Raises:
        BadInput: one is missing, or of another type or shape than its weight has in its format; a
            weight has no format, or one that no weight can have.
    """
    packed: set[str] = set()
    found: dict[str, dict[str, str]] = {}
    for name, stored in manifest.weights.items():
        fmt = _format(policy, name, stored, where)
        for suffix, part in expected_parts(fmt, stored.rows).items():
            entry = entries.get(own := f"{name}_{suffix}")
            if entry is None:
                raise BadInput(f"{where} lacks the tensor '{own}': write or copy it again")
            if not part.takes(entry.dtype, entry.shape, math.prod(entry.shape)):
                raise BadInput(f"{where}: '{own}' is {entry.dtype} {list(entry.shape)}, which does "
                               f"not fit a weight of shape {list(stored.shape)} in {fmt}")
            if own in packed:
                raise BadInput(f"{where}: '{own}' belongs to two weights")
            packed.add(own)
            found.setdefault(name, {})[suffix] = own
    _check_names(entries.keys() - packed, manifest, policy, where)
    return found


def _format(policy: Policy, name: str, stored: Stored, where: str) -> Format:
    if math.prod(stored.shape) > _MOST or stored.dtype not in TORCH or (
            not TORCH[stored.dtype].is_floating_point):
        raise BadInput(f"the manifest in {where} is damaged: '{name}' is {stored.dtype!s:.20} "
                       f"{list(stored.shape)}")
    try:
        fmt = weight_format(policy, name, stored)
        if fmt is not None:
            fmt.require("weight")
    except BadInput as error:
        raise BadInput(f"the policy in {where} does not fit its tensors: {error}") from error
    if fmt is None:
        raise BadInput(f"the policy in {where} does not fit its tensors: it leaves '{name}' in "
                       "float")
    return fmt


def _check_names(others: set[str], manifest: Manifest, policy: Policy, where: str) -> None:
    """The names that stand for something else than a packed weight."""
    layers = [layer for stored in manifest.weights.values() for layer in stored.layers]
    if len(set(layers)) < len(layers):
        raise BadInput(f"the manifest in {where} is damaged: a layer has two weights")
    both = sorted({METADATA, *manifest.weights, *manifest.aliases} & others)
    if both:
        raise BadInput(f"{where} has '{both[0]}' twice, packed or under another name, and in float")
    lost = sorted({*manifest.aliases.values()} - others - manifest.weights.keys())
    if lost:
        raise BadInput(f"{where} lacks {named(lost)}: write or copy it again")
    unknown = sorted(set(layers) - policy.layers.keys())
    if unknown:
        raise BadInput(f"the policy in {where} says nothing of {named(unknown)}")


def named(names: list[str]) -> str:
    """The first few of *names*."""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + (" …" * (len(names) > _SHOWN))
