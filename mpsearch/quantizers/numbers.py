"""A tensor in slices for the search of codebooks: numbers in units, and the scales they take.

Searches run in numpy, on one thread and in float64, so that their results depend on nothing but
the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mpsearch.quantizers.layout import Layout
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.slices import Slices

Array = npt.NDArray[np.float64]
_LEAST = 2.0**-149  # the scale of a tensor of zeros: what comes back is 0, or hardly more


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Slices *x* [S, L] in units of *grid*.

    *there* [S, L] or [1, 1] is 0 at the filling of ragged groups, and else 1. *spread* [S, 1] is
    the root mean square of each slice as a scale that can be stored.
    """

    x: Array
    there: Array
    grid: ScaleGrid
    spread: Array

    @classmethod
    def of(cls, x: Tensor, layout: Layout) -> Self:
        """*x* cut as *layout* says.

        Raises:
            BadInput: *x* is empty, or has values that are not finite.
        """
        slices = Slices.of(x, layout)
        rows = slices.x.cpu().double().numpy()
        there = np.ones((1, 1))
        if layout.group and layout.terms % layout.group:
            there = layout.to_slices(torch.ones(layout.shape)).double().numpy()
        counts = np.broadcast_to(there, rows.shape).sum(1, keepdims=True)
        mean = np.sqrt(np.square(rows).sum(1, keepdims=True) / counts)
        spread = torch.from_numpy(np.maximum(mean, _LEAST))
        grid = ScaleGrid.around(spread, stored=True)
        return cls(x=rows / grid.unit.numpy(), there=there, grid=grid,
                   spread=_nearest(grid, spread / grid.unit))

    def nearest(self, scale: Array) -> Array:
        """The scales that can be stored nearest to *scale*, in units."""
        return _nearest(self.grid, torch.from_numpy(scale))

    def refitted(self, values: Array, scale: Array) -> Array:
        """The scales [S, 1] with which *values* [S, L] are nearest to the numbers.

        Where none above 0 is, it is the one in *scale*.
        """
        masked = values * self.there
        across = np.einsum("sl,sl->s", self.x, masked)[:, None]
        along = np.einsum("sl,sl->s", masked, values)[:, None]
        able = (across > 0) & (along > 0)
        return self.nearest(np.where(able, across / np.where(able, along, 1.0), scale))

    def errors(self, values: Array) -> Array:
        """Squared errors [S, 1] of the slices if they become *values*, both in units."""
        rest = (values - self.x) * self.there
        errors: Array = np.einsum("sl,sl->s", rest, rest)[:, None]
        return errors

    def best_start(self, shares: Sequence[float], values: Callable[[Array], Array]) -> Array:
        """For each slice the best of some *shares* of its spread, [S, 1].

        *values* gives the levels [S, L] that numbers take under scales.
        """
        scales = [self.nearest(share * self.spread) for share in shares]
        errors = [self.errors(values(scale) * scale) for scale in scales]
        best: Array = np.take_along_axis(np.stack(scales), np.argmin(errors, 0)[None], 0)[0]
        return best

    def stored(self, scale: Array, device: torch.device) -> Tensor:
        """*scale* in units as the float32 numbers of `Params`."""
        return self.grid.from_units(torch.from_numpy(scale)).to(device)


def _nearest(grid: ScaleGrid, scale: Tensor) -> Array:
    nearest: Array = grid.nearest(scale).double().numpy()
    return nearest
