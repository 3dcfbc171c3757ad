"""Scales of small floats, and the choice of how many bits the exponent gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.formats.mini_float import MiniFloat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.block_scales import mx_scales, nv_scales, nv_shared
from mpsearch.quantizers.mini_floats import rounded_
from mpsearch.quantizers.scale_search import Found, Rounding, Search, reach_of, shares
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.threads import side_by_side

_OCTAVES = {1: 6.0, 2: 6.0, 3: 3.0}
"""Octaves below the reach that are searched, by exponent bits. Numbers of a wide range can hold
both extremes and the bulk, so that they gain little from cutting off extremes."""
_WIDE_OCTAVES = 1.0
_COARSE, _FINE, _ABOVE = 2, 4, 0.5
"""Scales tried in an octave, first and for numbers that come close; octaves above the reach."""
_CLOSE = 1.4  # a coarse error within this of the least may still turn out to be the least
_RATIOS = (2**0.125, 2**0.0625)
_FEW = 2  # bits of mantissa up to which it matters on which number the reach comes to lie
_LEAST_UNIT, _LEAST_SCALE = 2.0**-125, 2.0**-149


def free_scaled(slices: Slices, fmt: FloatFormat) -> Params:
    """Scales that may be any number, as they are stored, by the rule of *fmt*."""
    searches = list(Search.each(slices))

    def over(task: Callable[[int], Found]) -> Found:
        return _end_to_end(side_by_side(task, range(len(searches)), slices.x.device))

    coarse = [over(partial(_coarse, searches, numbers, fmt)) for numbers in fmt.candidates]
    totals = [_total(found) for found in coarse]
    close = [i for i, total in enumerate(totals) if total <= _CLOSE * min(totals)]
    if fmt.scale == "least_squares":
        for i in close:
            coarse[i] = over(partial(_fine, searches, fmt.candidates[i]))
    best = min(close, key=lambda i: _total(coarse[i]))
    unit = ScaleGrid.around(reach_of(slices), stored=True).unit
    own = (unit * 2.0 ** -fmt.candidates[best].highest).clamp(min=_LEAST_UNIT)
    return _params((coarse[best].scale * own).float(), fmt, best)


def block_scaled(slices: Slices, fmt: FloatFormat, tokens: int = 1) -> Params:
    """Scales of OCP MX or NVFP4 blocks, by the rule of *fmt*.

    So many *tokens*, runs of slices, have each a scale of their own that their E4M3 scales share.
    """
    reach = reach_of(slices) if tokens == 1 else torch.maximum(-slices.low, slices.high)
    tried = [_block_scales(reach, numbers, fmt, tokens) for numbers in fmt.candidates]
    if len(tried) == 1 and len(tried[0][0]) == 1:  # as every activation: nothing to search for
        return _block_params(tried[0][0][0], tried[0][1], fmt, 0)
    searches = list(Search.each(slices))

    def judged(numbers: MiniFloat, scales: Sequence[Tensor], at: int) -> Found:
        search, rows = searches[at], list(slices.blocks())[at]
        return search.best_of(_rounding(numbers, 0),
                              [(each[rows] / search.grid.unit).float() for each in scales])

    found = [_end_to_end(side_by_side(partial(judged, numbers, scales), range(len(searches)),
                                      slices.x.device))
             for numbers, (scales, _) in zip(fmt.candidates, tried, strict=True)]
    best = min(range(len(found)), key=lambda i: _total(found[i]))
    unit = ScaleGrid.around(reach, stored=True).unit
    return _block_params((found[best].scale * unit).float(), tried[best][1], fmt, best)


def token_scaled(slices: Slices, fmt: FloatFormat) -> Params:
    """For each slice by itself, the scale that just reaches its largest magnitude."""
    reach = torch.maximum(-slices.low, slices.high)
    exact = torch.where(reach > 0, reach / fmt.candidates[0].largest, 1.0)
    return _params(exact.float().clamp(min=_LEAST_SCALE), fmt, 0)


def _rounding(numbers: MiniFloat, shift: int) -> Rounding:
    return partial(rounded_, numbers=numbers, shift=shift)


def _coarse(searches: Sequence[Search], numbers: MiniFloat, fmt: FloatFormat, at: int) -> Found:
    """The scale that the standard gives, or the best of a few."""
    search, rounding = searches[at], _rounding(numbers, numbers.highest)
    if fmt.scale == "absmax":
        return search.best_of(rounding, [search.grid.at_least(search.reach / _largest(numbers))])
    return search.best_of(rounding, _tried(search, numbers, _COARSE))


def _fine(searches: Sequence[Search], numbers: MiniFloat, at: int) -> Found:
    """The best of more scales, refined; under some of them the reach is one of the numbers."""
    search, rounding = searches[at], _rounding(numbers, numbers.highest)
    scales = _tried(search, numbers, _FINE)
    if numbers.mantissa <= _FEW:
        codes = range(max(1, numbers.last_code - (2 << numbers.mantissa)), numbers.last_code)
        sizes = [numbers.magnitude(code) * 2.0**-numbers.highest for code in codes]
        scales += [search.grid.nearest(search.reach / size) for size in sizes]
    return search.refined(rounding, search.best_of(rounding, scales), _RATIOS)


def _tried(search: Search, numbers: MiniFloat, an_octave: int) -> list[Tensor]:
    octaves = _OCTAVES.get(numbers.exponent, _WIDE_OCTAVES)
    return [search.grid.nearest(search.reach * (share / _largest(numbers)))
            for share in shares(octaves, an_octave, _ABOVE)]


def _largest(numbers: MiniFloat) -> float:
    """The largest number, counted so that it lies from 1 to 2."""
    return numbers.largest * 2.0**-numbers.highest


def _block_scales(reach: Tensor, numbers: MiniFloat,
                  fmt: FloatFormat, tokens: int) -> tuple[list[Tensor], Tensor | None]:
    """The scales to try, and those that they share, if there are such."""
    shared = nv_shared(reach, numbers, tokens) if fmt.blocks == "nv" else None
    scales = (mx_scales(reach, numbers) if shared is None
              else nv_scales(reach, numbers, shared))
    return scales if fmt.scale == "least_squares" else scales[:1], shared


def _block_params(scale: Tensor, shared: Tensor | None, fmt: FloatFormat, best: int) -> Params:
    return _params(scale, fmt, best, {} if shared is None else {"global_scale": shared})


def _end_to_end(found: Sequence[Found]) -> Found:
    return Found(scale=torch.cat([each.scale for each in found]),
                 error=torch.cat([each.error for each in found]))


def _total(found: Found) -> float:
    return float(found.error.double().sum())


def _params(scale: Tensor, fmt: FloatFormat, best: int,
            more: dict[str, Tensor] | None = None) -> Params:
    tables = dict(more or {})
    if len(fmt.candidates) > 1:
        tables["table"] = torch.tensor([best], dtype=torch.uint8, device=scale.device)
    return Params.without_zero(scale, tables)
