"""How long the header may get, known before a policy is chosen.

The header holds the policy, so its length depends on the choice. A budget in bytes needs a cost
that adds up, and the file must not be larger than was said: so the header of every file of one
model and search space has the length that the longest of them needs, filled up with spaces.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from itertools import chain

from mpsearch.core.types import (
    Evaluation,
    LayerSpec,
    ModelRef,
    Policy,
    Prediction,
    Scheme,
    SearchSpace,
    StaticRange,
    Totals,
    unique_weights,
)
from mpsearch.fakequant.keys import Ranges, chosen_ranges
from mpsearch.packed.container import SIZES, header_of, whole
from mpsearch.packed.contents import Storable
from mpsearch.packed.expected import Expected, expected_parts
from mpsearch.packed.manifest import Input, Manifest, Stored, dumped
from mpsearch.packed.metadata import metadata_of
from mpsearch.packed.types import NAMES

_PROVENANCE = 2048
"""Bytes that are kept free for where the policy came from."""
_LONG_FLOAT = -2.2250738585072014e-308
_LONG_INT = sys.maxsize
_LONG_TYPE = max(SIZES, key=len)


def header_room(space: SearchSpace, ranges: Ranges, model: ModelRef, found: Storable,
                inputs: Iterable[Input]) -> int:
    """Bytes of the longest header that a policy of *space* for this model needs; whole eights.

    *ranges* are the calibrated ranges of all formats that *space* offers.
    """
    weights = {spec.name: name for name, spec in _owners(space, found).items()}
    most = sum(tensor.nbytes for tensor in chain(found.others.values(), found.tensors.values()))
    digits = len(str(2 * most + sum(_most_bytes(spec, space) for spec in space.layers)))
    others = sum(_entry(name, NAMES.get(tensor.dtype, _LONG_TYPE), tuple(tensor.shape), digits)
                 for name, tensor in found.others.items())
    layers = 0
    for group in space.groups:
        members = space.members(group)
        layers += max(sum(_layer(spec, scheme.for_kind(spec.kind), ranges)
                          + _weight(weights.get(spec.name), spec, scheme, found, digits)
                          for spec in members) for scheme in group.schemes)
    fixed = len(header_of({}, metadata_of(_long_policy(model), _empty(model, found, inputs))))
    return whole(fixed + _PROVENANCE + others + layers)


def _owners(space: SearchSpace, found: Storable) -> dict[str, LayerSpec]:
    return {spec.weight: spec for spec in unique_weights(space.layers)
            if spec.weight in found.weights}


def _most_bytes(spec: LayerSpec, space: SearchSpace) -> int:
    group = next(each for each in space.groups if spec.name in each.layers)
    return max((scheme.weight.stored_bits(spec.weight_shape) // 8 for scheme in group.schemes
                if scheme.weight is not None and spec.weight_shape is not None), default=0)


def _layer(spec: LayerSpec, scheme: Scheme, ranges: Ranges) -> int:
    """What a layer adds to the policy."""
    operands = {"input": scheme.input, "other": scheme.other}
    needed: Mapping[str, StaticRange] = chosen_ranges(ranges, spec.name, operands)
    text = _named(spec.name, dumped(scheme))
    if needed:
        parts = (_named(operand, dumped(each)) for operand, each in needed.items())
        text += _named(spec.name, f"{{{''.join(parts)}}}")
    return _inside(text)


def _weight(name: str | None, spec: LayerSpec, scheme: Scheme, found: Storable,
            digits: int) -> int:
    """What a weight adds to the list of tensors and to the manifest."""
    if name is None:
        return 0
    stored: Stored = found.weights[name]
    fmt = scheme.for_kind(spec.kind).weight
    if fmt is None:
        return _entry(name, stored.dtype, stored.shape, digits)
    parts = expected_parts(fmt, stored.rows)
    listed = sum(_entry(f"{name}_{suffix}", _dtype(part), part.shape or (part.count,) * 2, digits)
                 for suffix, part in parts.items())
    return listed + _inside(_named(name, dumped(stored)))


def _dtype(part: Expected) -> str:
    return part.dtype or _LONG_TYPE


def _entry(name: str, dtype: str, shape: tuple[int, ...], digits: int) -> int:
    place = [10**digits] * 2
    return len(_named(name, json.dumps({"dtype": dtype, "shape": shape, "data_offsets": place},
                                       separators=(",", ":"))))


def _named(name: str, text: str) -> str:
    return f"{json.dumps(name)}:{text},"


def _inside(text: str) -> int:
    """Bytes of *text* inside a text of JSON."""
    return len(json.dumps(text)) - 2


def _long_policy(model: ModelRef) -> Policy:
    """A policy without layers whose every number is as long as can be."""
    long, count = _LONG_FLOAT, _LONG_INT
    totals = Totals(weights=count, size_bits=count, bits_per_weight=long, file_bytes=count,
                    bops=long, predicted_loss=long, measured_loss=long)
    evaluation = Evaluation(samples=count, kl=long, kl_stderr=long, agreement=long,
                            agreement_stderr=long, top1=long, top1_stderr=long, float_top1=long)
    prediction = Prediction(kl=long, kl_low=long, kl_high=long, policies=count, samples=count,
                            accuracy_loss=long, accuracy_loss_low=long, accuracy_loss_high=long)
    return Policy(model=model, layers={}, totals=totals, evaluation=evaluation,
                  prediction=prediction)


def _empty(model: ModelRef, found: Storable, inputs: Iterable[Input]) -> Manifest:
    return Manifest(fingerprint=model.fingerprint, inputs=tuple(inputs), weights={},
                    aliases=found.aliases, constants="0" * 16)
