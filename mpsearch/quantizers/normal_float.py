"""The quantizer of levels at quantiles of the normal distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import torch
from torch import Tensor

from mpsearch.core.formats.normal import NormalFloatFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.layout import layout_of, matched
from mpsearch.quantizers.scale_search import Found, Search, shares
from mpsearch.quantizers.slices import Slices, check_finite
from mpsearch.quantizers.threads import side_by_side

_OCTAVES, _A_OCTAVE, _ABOVE = 2.0, 4, 0.25
_RATIOS = (2**0.125, 2**0.0625)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalFloat:
    """Round to the nearest level, the lower one of two; codes count levels from the lowest.

    Source: Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs" (NeurIPS 2023,
    arXiv:2305.14314), section 3 and appendix E. Scales are 16 bits; they are not quantized again.
    """

    def fit(self, x: Tensor, formats: Sequence[NormalFloatFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Scales of *x* in each of *formats*.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        layouts = [layout_of(x.shape, fmt, axes) for fmt in formats]
        slices = {layout: Slices.of(x, layout) for layout in dict.fromkeys(layouts)}
        return [_fitted(slices[layout], fmt)
                for layout, fmt in zip(layouts, formats, strict=True)]

    def encode(self, x: Tensor, params: Params, fmt: NormalFloatFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """Codes of *x*, int32 and of its shape.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout = matched(layout_of(x.shape, fmt, axes), params.scale)
        rows = layout.to_slices(x.detach())
        if rows.numel():
            check_finite(rows.amin(), rows.amax())
        codes = _codes(rows.float() / params.scale, levels_of(fmt.bits))
        return layout.from_slices(codes).contiguous()

    def decode(self, codes: Tensor, params: Params, fmt: NormalFloatFormat,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The numbers that *codes* stand for, in their shape; computed in float32.

        Raises:
            BadInput: the codes do not fit *params*.
        """
        del shape  # it is that of the codes
        layout = matched(layout_of(codes.shape, fmt, axes), params.scale)
        levels = levels_of(fmt.bits).to(codes.device)
        values = levels[layout.to_slices(codes).long()].mul_(params.scale)
        return layout.from_slices(values.to(dtype)).contiguous()


@cache
def levels_of(bits: int) -> Tensor:
    """The levels, rising from -1 to 1, float32 [2**bits].

    Quantiles at even steps of probability from 1/2 to *outermost*, one more above 0 than below,
    where the outermost one lies halfway between those of 2**bits and of one level less.
    """
    count = 1 << bits
    outermost = 1 - (1 / (2 * count) + 1 / (2 * (count - 1))) / 2

    def side(steps: int) -> list[float]:
        ends = [0.5 + (outermost - 0.5) * k / steps for k in range(1, steps + 1)]
        quantiles = [NormalDist().inv_cdf(end) for end in ends]
        return [each / quantiles[-1] for each in quantiles]

    below = [-each for each in reversed(side(count // 2 - 1))]
    return torch.tensor([*below, 0.0, *side(count // 2)], dtype=torch.float32)


def _codes(steps: Tensor, levels: Tensor) -> Tensor:
    bounds = ((levels[1:].double() + levels[:-1].double()) / 2).float()
    return torch.bucketize(steps, bounds.to(steps.device), out_int32=True)


def _fitted(slices: Slices, fmt: NormalFloatFormat) -> Params:
    levels = levels_of(fmt.bits).to(slices.x.device)

    def rounding(steps: Tensor) -> Tensor:
        return levels[_codes(steps, levels)]

    def found(rows: slice) -> tuple[Found, Search]:
        search = Search.of(slices, rows)
        if fmt.scale == "absmax":
            return search.best_of(rounding, [search.grid.at_least(search.reach)]), search
        tried = [search.grid.nearest(search.reach * share)
                 for share in shares(_OCTAVES, _A_OCTAVE, _ABOVE)]
        return search.refined(rounding, search.best_of(rounding, tried), _RATIOS), search

    results = side_by_side(found, list(slices.blocks()), slices.x.device)
    scale = torch.cat([search.grid.from_units(best.scale) for best, search in results])
    return Params(scale=scale, zero_point=torch.zeros_like(scale, dtype=torch.int32))
