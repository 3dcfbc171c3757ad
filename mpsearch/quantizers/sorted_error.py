"""Squared errors of many tables of levels at once, from sorted numbers and their running sums.

Between two neighbouring boundaries all numbers take one level, so that their error follows from how
many they are, their sum and the sum of their squares: a candidate costs a search for each of its
boundaries, however long the slice is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

_ROOM = 1 << 18  # boundaries searched for at once, few enough to stay in a cache


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedSlices:
    """Slices [S, L] in rising order, and the running sums [S, L + 1] of numbers and squares."""

    x: Tensor
    sums: Tensor
    squares: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Self:
        """*x* [S, L], sorted; all in float64."""
        ordered = x.double().contiguous().sort(dim=1).values
        return cls(x=ordered, sums=pad(ordered.cumsum(1), (1, 0)),
                   squares=pad(ordered.square().cumsum(1), (1, 0)))

    def errors(self, levels: Tensor) -> Tensor:
        """Summed squared error of every slice where each number takes its nearest level.

        *levels* [G, S, n] rise along the last dimension; the result is [G, S].
        """
        room = max(1, _ROOM // max(1, levels.shape[1] * levels.shape[2]))
        return torch.cat([self._errors(levels[at:at + room])
                          for at in range(0, len(levels), room)])

    def _errors(self, levels: Tensor) -> Tensor:
        count, slices, n = levels.shape
        bounds = (levels[..., 1:] + levels[..., :-1]) / 2
        flat = bounds.permute(1, 0, 2).reshape(slices, -1)
        at = torch.searchsorted(self.x, flat.contiguous()).view(slices, count, n - 1)
        at = pad(pad(at, (1, 0)), (0, 1), value=self.x.shape[1]).flatten(1)

        def cells(sums: Tensor) -> Tensor:
            return sums.gather(1, at).view(slices, count, n + 1).diff(dim=-1)

        own = levels.permute(1, 0, 2)
        counts = at.view(slices, count, n + 1).diff(dim=-1)
        error = cells(self.squares) - 2 * own * cells(self.sums) + own.square() * counts
        return error.sum(-1).clamp(min=0).T
