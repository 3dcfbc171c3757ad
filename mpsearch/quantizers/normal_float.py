"""The quantizer of levels at quantiles of the normal distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import torch
from torch import Tensor

from mpsearch.core.formats.normal_float import NormalFloatFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.elementwise import Elementwise, by_layout
from mpsearch.quantizers.layout import Layout
from mpsearch.quantizers.scale_search import Search, reach_of, shares
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.stairs import Stairs, Strand
from mpsearch.quantizers.threads import side_by_side

_FINE = 1 << 14
"""Stretches on either side of 0 in which the search looks up levels. It may take the other one of
two levels that are as good as equally near; codes are found exactly."""
_OCTAVES, _A_OCTAVE, _ABOVE = 2.0, 4, 0.25
_RATIOS = (2**0.125, 2**0.0625)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalFloat(Elementwise[NormalFloatFormat]):
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
        def found(layout: Layout, own: list[NormalFloatFormat]) -> list[Params]:
            slices = Slices.of(x, layout)
            return [_fitted(slices, fmt) for fmt in own]

        return by_layout(x, formats, axes, found)

    def coded(self, rows: Tensor, params: Params, fmt: NormalFloatFormat,
              layout: Layout) -> Tensor:
        """The nearest levels, the lower one of two."""
        del layout
        return _codes(rows.float() / params.scale, levels_of(fmt.bits))

    def values(self, codes: Tensor, params: Params, fmt: NormalFloatFormat,
               layout: Layout) -> Tensor:
        """Levels times the scale."""
        del layout
        return levels_of(fmt.bits).to(codes.device)[codes.long()].mul_(params.scale)

    def stairs(self, params: Params, fmt: NormalFloatFormat) -> Stairs:
        """The levels, exactly."""
        del params
        levels = levels_of(fmt.bits)
        return Stairs.by_rank(_bounds(levels), (Strand.of(levels.tolist()),))


@cache
def levels_of(bits: int) -> Tensor:
    """The levels, rising from -1 to 1, float32 [2**bits].

    Quantiles at even steps of probability from 1/2 to *outermost*, one more above 0 than below,
    where the outermost one lies halfway between those of 2**bits and of one level less.
    """
    count = 1 << bits
    outermost = 1 - (1 / (2 * count) + 1 / (2 * (count - 1))) / 2

    def side(steps: int) -> list[float]:
        # Seven digits, then float32: so the published 4-bit levels come out to the last bit.
        ends = torch.linspace(round(outermost, 7), 0.5, steps + 1)[:-1]
        return [NormalDist().inv_cdf(end) for end in ends.tolist()]

    below = [-each for each in side(count // 2 - 1)]
    levels = torch.tensor([*below, 0.0, *reversed(side(count // 2))], dtype=torch.float32)
    return levels / levels[-1]


def _codes(steps: Tensor, levels: Tensor) -> Tensor:
    return torch.bucketize(steps, _bounds(levels).to(steps.device), out_int32=True)


def _bounds(levels: Tensor) -> Tensor:
    return ((levels[1:].double() + levels[:-1].double()) / 2).float()


@cache
def _fine_table(bits: int) -> Tensor:
    """The level nearest to the middle of each of many short stretches from -1 to 1."""
    middles = (torch.arange(2 * _FINE) + 0.5) / _FINE - 1
    levels = levels_of(bits)
    return levels[_codes(middles, levels)]


def _fitted(slices: Slices, fmt: NormalFloatFormat) -> Params:
    if fmt.scale == "absmax":
        reach = reach_of(slices)
        grid = ScaleGrid.around(reach, stored=True)
        return Params.without_zero(grid.from_units(grid.at_least(reach / grid.unit)))
    table = _fine_table(fmt.bits).to(slices.x.device)

    def rounding(steps: Tensor) -> Tensor:
        at = steps.add_(1).mul_(_FINE).clamp_(0, 2 * _FINE - 1).int()
        return table.index_select(0, at.view(-1)).view(at.shape)

    def found(search: Search) -> Tensor:
        tried = [search.grid.nearest(search.reach * share)
                 for share in shares(_OCTAVES, _A_OCTAVE, _ABOVE)]
        best = search.refined(rounding, search.best_of(rounding, tried), _RATIOS)
        return search.grid.from_units(best.scale)

    searches = list(Search.each(slices))
    return Params.without_zero(torch.cat(side_by_side(found, searches, slices.x.device)))
