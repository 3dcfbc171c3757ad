"""Scales that clip the outermost share of a slice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.absmax import Span, Start, zero_of
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.error import Choice, params_of
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.strides import coprime_stride
from mpsearch.quantizers.threads import side_by_side

# Clipped on either side. RepQ-ViT (Li et al., ICCV 2023) picks among the last three for
# activations; 1 % is for low bit widths and short slices.
_SHARES = (1e-2, 1e-3, 1e-4, 1e-5)
# Longer slices are sampled: which numbers are candidates may come from a sample, because all
# numbers judge them.
_SORTED_AT_MOST = 1 << 20


def percentile(slices: Slices, formats: Sequence[IntFormat]) -> list[Params]:
    """For each slice and format the percentile range of least squared error.

    Ranges run from percentile p to 100 - q, for p and q of 0, 0.001, 0.01, 0.1 and 1, and always
    contain 0. Asymmetric formats choose p and q each on its own, since outliers may lie on one side
    alone; symmetric ones, which have one reach, take p = q. No single p is right for 2 and for 8
    bits, for weights and for activations with outliers, hence the choice; p = q = 0 is the rule
    `absmax`, so this is never worse.
    """
    starts = [Start.of(slices, fmt) for fmt in formats]

    def found(rows: slice) -> list[Choice]:
        x = slices.x[rows]
        alike = _ranges(x)
        whole = slices.low[rows], slices.high[rows]
        lows, highs = ([each[side] for each in [whole, *alike]] for side in (0, 1))
        pairs = [(low, high) for low in lows for high in highs][1:]
        return [_best(x, alike if fmt.symmetric else pairs, fmt, start.rows(rows))
                for fmt, start in zip(formats, starts, strict=True)]

    blocks = side_by_side(found, list(slices.blocks()), slices.x.device)
    return [params_of(choices, start.grid)
            for choices, start in zip(zip(*blocks, strict=True), starts, strict=True)]


def _ranges(x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Percentile ranges of the rows of *x*, widest last, each with 0 inside; float64 [S, 1]."""
    sample = x[:, ::coprime_stride(x.shape[1], _SORTED_AT_MOST)]
    ordered = sample.sort(dim=1).values
    length = ordered.shape[1]
    cuts = dict.fromkeys(round(length * share) for share in _SHARES)
    return [
        (ordered[:, cut : cut + 1].double().clamp(max=0),
         ordered[:, length - 1 - cut : length - cut].double().clamp(min=0))
        for cut in cuts if cut
    ]


def _best(x: Tensor, ranges: list[tuple[Tensor, Tensor]], fmt: IntFormat, start: Start) -> Choice:
    scales, zeros = [start.scale], [start.zero]
    for low, high in ranges:
        span = Span.of(low / start.grid.unit, high / start.grid.unit, fmt)
        scales.append(start.grid.at_least(span.reach / span.steps))
        zeros.append(zero_of(low / start.grid.unit, scales[-1], fmt))
    x = start.grid.to_units(x)
    return Choice.of(x, torch.stack(scales), torch.stack(zeros), fmt).best()
