"""The loops of `compiled` in torch, in parts that stay in a core's cache; on every device."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.quantizers.checked import finite
from mpsearch.quantizers.rounding.lookup import Table, Work
from mpsearch.quantizers.tiles import tiles


def integers(x: Tensor, scale: Tensor, zero: Tensor, limits: tuple[int, int], out: Tensor) -> None:
    """Into *out* what the nearest integers within *limits*, ties to even, stand for.

    All are [R, L], *out* in float32; *scale* and *zero* are [R, 1] or [1, 1], float32.

    Raises:
        BadInput: *x* has values that are not finite.
    """
    finite(x)
    for part in tiles(x):
        step, start = _own(scale, part), _own(zero, part)
        tile = torch.div(x[part].float(), step, out=out[part]).round_().add_(start)
        tile.clamp_(*limits).sub_(start).mul_(step)


def levels(x: Tensor, scale: Tensor, shift: Tensor, table: Table, out: Tensor) -> None:
    """Into *out* the levels of *table* nearest to *x*, the lower one of two.

    A level stands for itself times *scale*, [R, 1] or [1, 1], plus *shift* [1]. *out* is [R, L]
    like *x*, in float32.

    Raises:
        BadInput: *x* has values that are not finite.
    """
    finite(x)
    values = table.levels.mul(scale[0]).add_(shift)
    work: Work | None = None
    for part in tiles(x):
        own, step = x[part], _own(scale, part)
        work = work or Work.of(own.numel(), x.device)
        steps = work.steps[: own.numel()].view(own.shape)
        torch.sub(own, shift, out=steps).div_(step)
        places = table.lookup.places(steps.view(-1), work)
        if len(scale) == 1:  # then the values of the levels are known beforehand
            torch.index_select(values, 0, places, out=steps.view(-1))
            out[part] = steps
        else:
            torch.index_select(table.levels, 0, places, out=steps.view(-1))
            out[part] = steps.mul_(step).add_(shift)


def _own(each: Tensor, part: tuple[slice, slice]) -> Tensor:
    return each if len(each) == 1 else each[part[0]]
