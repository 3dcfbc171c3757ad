"""Levels of least squared error, for a tensor or for normal numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mpsearch.core.formats.lloyd import LloydFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.elementwise import Elementwise, by_layout
from mpsearch.quantizers.layout import Layout
from mpsearch.quantizers.normal_levels import normal_levels
from mpsearch.quantizers.numbers import Array, Numbers
from mpsearch.quantizers.ordered import Ordered, trained
from mpsearch.quantizers.stairs import Stairs, Strand
from mpsearch.quantizers.threads import side_by_side

_STARTS = (0.8, 0.9, 1.0, 1.12, 1.25)
"""Scales tried for fixed levels, as shares of the root mean square."""
_REFITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Lloyd(Elementwise[LloydFormat]):
    """Nearest of ``2**bits`` levels that have the least squared error, times the scale.

    Levels and scales take turns: levels are fitted to the numbers of all slices over their scales,
    each weighted as its error counts in the tensor; scales follow by least squares. Both come to
    rest at a local optimum. 0 has no code as a rule.

    Source: Lloyd, "Least Squares Quantization in PCM" (IEEE Trans. Inf. Theory 1982).
    """

    def fit(self, x: Tensor, formats: Sequence[LloydFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Levels and scales of *x* in each of *formats*; those of one layout share a sort.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        def found(layout: Layout, own: list[LloydFormat]) -> list[Params]:
            numbers = Numbers.of(x, layout)
            ordered = _ordered(numbers) if any(fmt.source == "tensor" for fmt in own) else None
            return side_by_side(lambda fmt: _fitted(numbers, ordered, fmt, x.device), own, x.device)

        return by_layout(x, formats, axes, found)

    def coded(self, rows: Tensor, params: Params, fmt: LloydFormat, layout: Layout) -> Tensor:
        """The nearest levels, the lower one of two."""
        del layout
        bounds = _bounds(_levels(fmt, params, rows.device))
        return torch.bucketize(rows.float() / params.scale, bounds, out_int32=True)

    def values(self, codes: Tensor, params: Params, fmt: LloydFormat, layout: Layout) -> Tensor:
        """Levels times the scale."""
        del layout
        return _levels(fmt, params, codes.device)[codes.long()].mul_(params.scale)

    def stairs(self, params: Params, fmt: LloydFormat) -> Stairs:
        """The levels, exactly."""
        levels = _levels(fmt, params, params.scale.device)
        return Stairs.by_rank(_bounds(levels), (Strand.of(levels.tolist()),))


def _bounds(levels: Tensor) -> Tensor:
    return (levels[1:] + levels[:-1]) / 2


def _levels(fmt: LloydFormat, params: Params, device: torch.device) -> Tensor:
    if fmt.source == "tensor":
        return params.more["codebook"].float()
    return torch.from_numpy(normal_levels(fmt.bits)).to(device, torch.float32)


def _ordered(numbers: Numbers) -> Ordered:
    """The numbers of all slices over their spread, weighted as their errors count."""
    weight = np.square(numbers.spread) * numbers.there
    flat = (numbers.x / numbers.spread).ravel()
    return Ordered.of(flat, np.broadcast_to(weight, numbers.x.shape).ravel())


def _fitted(numbers: Numbers, ordered: Ordered | None, fmt: LloydFormat,
            device: torch.device) -> Params:
    if ordered is None or fmt.source == "normal":
        levels = normal_levels(fmt.bits)
        more = {}
    else:
        levels, scale = trained(ordered, 1 << fmt.bits), numbers.spread
        for _ in range(_REFITS):
            scale = numbers.refitted(_values(numbers, scale, levels), scale)
            levels = _means(numbers, scale, levels)
        levels = levels.astype(np.float16).astype(np.float64)
        more = {"codebook": torch.from_numpy(levels).half().to(device)}
    scale = numbers.best_start(_STARTS, lambda scale: _values(numbers, scale, levels))
    for _ in range(_REFITS):
        scale = numbers.refitted(_values(numbers, scale, levels), scale)
    scales = numbers.stored(scale, device)
    return Params.without_zero(scales, more)


def _codes(numbers: Numbers, scale: Array, levels: Array) -> Tensor:
    bounds = torch.from_numpy((levels[1:] + levels[:-1]) / 2)
    return torch.bucketize(torch.from_numpy(numbers.x / scale), bounds)


def _values(numbers: Numbers, scale: Array, levels: Array) -> Array:
    """The level of every number."""
    values: Array = levels[_codes(numbers, scale, levels).numpy()]
    return values


def _means(numbers: Numbers, scale: Array, levels: Array) -> Array:
    """Every level where it has the least error, the codes and scales staying as they are."""
    codes = _codes(numbers, scale, levels).numpy().ravel()
    shape = numbers.x.shape
    along = np.bincount(codes, np.broadcast_to(np.square(scale) * numbers.there, shape).ravel(),
                        len(levels))
    across = np.bincount(codes, (numbers.x * scale * numbers.there).ravel(), len(levels))
    return np.sort(np.where(along > 0, across / np.where(along > 0, along, 1.0), levels))
