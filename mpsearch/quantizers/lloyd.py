"""Levels of least squared error, for a tensor or for normal numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mpsearch.core.formats.lloyd import LloydFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import finite, layout_for
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.normal_levels import normal_levels
from mpsearch.quantizers.numbers import Array, Numbers
from mpsearch.quantizers.ordered import Ordered, trained
from mpsearch.quantizers.threads import side_by_side

_STARTS = (0.8, 0.9, 1.0, 1.12, 1.25)
"""Scales tried for fixed levels, as shares of the root mean square."""
_REFITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Lloyd:
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
        layouts = [layout_of(x.shape, fmt, axes) for fmt in formats]
        found: dict[int, Params] = {}
        for layout in dict.fromkeys(layouts):
            numbers = Numbers.of(x, layout)
            chosen = [i for i, own in enumerate(layouts) if own == layout]
            own = any(formats[i].source == "tensor" for i in chosen)
            ordered = _ordered(numbers) if own else None

            def params(i: int, numbers: Numbers = numbers,
                       ordered: Ordered | None = ordered) -> Params:
                return _fitted(numbers, ordered, formats[i], x.device)

            found.update(zip(chosen, side_by_side(params, chosen, x.device), strict=True))
        return [found[i] for i in range(len(formats))]

    def encode(self, x: Tensor, params: Params, fmt: LloydFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """The code of the nearest level of every number, the lower one of two; int32.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout = layout_for(x.shape, params, fmt, axes)
        rows = finite(layout.to_slices(x.detach()))
        levels = _levels(fmt, params, x.device)
        bounds = (levels[1:] + levels[:-1]) / 2
        codes = torch.bucketize(rows.float() / params.scale, bounds, out_int32=True)
        return layout.from_slices(codes).contiguous()

    def decode(self, codes: Tensor, params: Params, fmt: LloydFormat,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The numbers that *codes* stand for, in their shape; computed in float32.

        Raises:
            BadInput: the codes do not fit *params*.
        """
        del shape  # it is that of the codes
        layout = layout_for(codes.shape, params, fmt, axes)
        levels = _levels(fmt, params, codes.device)
        values = levels[layout.to_slices(codes).long()].mul_(params.scale)
        return layout.from_slices(values.to(dtype)).contiguous()


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
