"""Static ranges of activations, calibrated from a bounded sample of each operand's values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from mpsearch.core.formats import Format
from mpsearch.core.types import SearchSpace
from mpsearch.fakequant.keys import Ranges, range_key
from mpsearch.graph.execute import Program
from mpsearch.graph.finite import require_finite
from mpsearch.graph.operations import Change
from mpsearch.quantizers.base import Params, to_static
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.quantizers.strides import coprime_stride

_VALUES_PER_BATCH = 1 << 16


def calibrate(program: Program, space: SearchSpace,
              batches: Iterable[tuple[Tensor, ...]]) -> Ranges:
    """Run the float model on *batches* and fit every static activation format of *space*.

    At most 65,536 values of an operand are kept for a batch, at an even stride, with the largest
    and the smallest.

    Raises:
        BadInput: the model's output has NaN or infinite values.
    """
    wanted = _static_formats(space)
    samples: dict[tuple[str, str], list[Tensor]] = {}
    changes: dict[str, dict[str, Change]] = {}
    for layer, operand in wanted:
        kept = samples.setdefault((layer, operand), [])
        changes.setdefault(layer, {})[operand] = _collector(kept)
    if not wanted:
        return {}
    with torch.no_grad():
        for args in batches:
            require_finite(program, args, program.run(args, changes))
    ranges: Ranges = {}
    for (layer, operand), formats in wanted.items():
        values = torch.cat(samples[layer, operand])
        ranges.setdefault(layer, {})[operand] = {
            range_key(fmt): to_static(params)
            for kind in dict.fromkeys(fmt.kind for fmt in formats)
            for fmt, params in _fitted(values, [fmt for fmt in formats if fmt.kind == kind])}
    return ranges


def _fitted(values: Tensor, formats: list[Format]) -> Iterator[tuple[Format, Params]]:
    """The parameters of *values* in *formats*, all of one kind."""
    return zip(formats, quantizer_of(formats[0]).fit(values, formats), strict=True)


def _static_formats(space: SearchSpace) -> dict[tuple[str, str], list[Format]]:
    wanted: dict[tuple[str, str], dict[Format, None]] = {}
    for group in space.groups:
        for layer in space.members(group):
            for scheme in group.schemes:
                own = scheme.for_kind(layer.kind)
                for operand, fmt in (("input", own.input), ("other", own.other)):
                    if fmt is not None and fmt.calibrated:
                        wanted.setdefault((layer.name, operand), {})[fmt] = None
    return {place: list(formats) for place, formats in wanted.items()}


def _collector(kept: list[Tensor]) -> Change:
    def collect(values: Tensor) -> Tensor:
        flat = values.detach().reshape(-1)
        stride = coprime_stride(flat.numel(), _VALUES_PER_BATCH)
        kept.append(torch.cat([flat[::stride], flat.min()[None], flat.max()[None]]).float())
        return values

    return collect
