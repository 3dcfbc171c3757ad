"""Where in a tensor each sample's part lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAxis:
    """The dimension *dim* holds the samples; one sample's elements come in runs of *run*.

    A dimension may hold more than samples: sample-major windows (``batch * windows``) have one
    run a sample, ``tokens * batch`` has runs of 1, once for each token.
    """

    dim: int
    run: int = 1

    def split(self, values: Tensor, samples: int) -> Tensor:
        """*values* as [samples, rest]."""
        return self._apart(values, samples).movedim(self.dim + 1, 0).reshape(samples, -1)

    def first(self, values: Tensor, samples: int, count: int) -> Tensor:
        """*values* of so many *samples*, with the first *count* of them only."""
        return self._back(self._apart(values, samples).narrow(self.dim + 1, 0, count))

    def times(self, values: Tensor, samples: int, copies: int) -> Tensor:
        """*values* with the samples repeated: all of them, *copies* times."""
        return self.joined([values] * copies, samples)

    def joined(self, parts: Sequence[Tensor], samples: int) -> Tensor:
        """Tensors of the same samples as one, as if they were so many more samples."""
        return self._back(torch.cat([self._apart(part, samples) for part in parts], self.dim + 1))

    def _apart(self, values: Tensor, samples: int) -> Tensor:
        """*values* with the dimension of the samples as three: repeats, samples, run."""
        before, after = values.shape[:self.dim], values.shape[self.dim + 1:]
        return values.reshape(*before, -1, samples, self.run, *after)

    def _back(self, apart: Tensor) -> Tensor:
        """What `_apart` took apart, in one dimension again."""
        return apart.flatten(self.dim, self.dim + 2)


def per_sample(values: Tensor, axis: SampleAxis | None, samples: int) -> Tensor:
    """Sum *values* over everything but the samples: shape [samples].

    A tensor that all samples share (None) is spread evenly in the mean square: each sample gets
    the total over the square root of their number, which is right for zero-mean gradients.
    """
    if axis is None:
        return values.sum().expand(samples) / math.sqrt(samples)
    return axis.split(values, samples).sum(1)


def repeat(args: tuple[Tensor, ...], samples: int) -> tuple[Tensor, ...]:
    """*args* with so many samples: the first ones, again from the start where there are fewer."""
    given = args[0].shape[0]
    index = torch.arange(samples) % given
    return tuple(arg[index.to(arg.device)] if arg.dim() and arg.shape[0] == given else arg
                 for arg in args)


def disturbed(args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """*args* with other numbers for the first sample; integers stay within their range."""
    samples = args[0].shape[0]
    return tuple(_other_first(arg) if arg.dim() and arg.shape[0] == samples else arg
                 for arg in args)


def find_axis(tensor: Tensor, other: Tensor, samples: int, dim: int | None) -> SampleAxis | None:
    """The axis of *samples* in *tensor*, where *other* differs from it in the first sample only.

    *dim* is the dimension, None if it is not known; a tensor in which nothing differs is then
    taken to be shared by all samples. Where a model mixes its samples, so that no axis explains
    what differs, their parts are taken to follow each other.
    """
    differs = tensor != other
    if dim is None and not bool(differs.any()):
        return None
    for place in range(tensor.dim()) if dim is None else (dim,):
        run = _run(differs.movedim(place, 0).reshape(tensor.shape[place], -1).any(1), samples)
        if run is not None:
            return SampleAxis(dim=place, run=run)
    length = tensor.shape[dim or 0]
    return SampleAxis(dim=dim or 0, run=length // samples) if length % samples == 0 else None


def _run(differs: Tensor, samples: int) -> int | None:
    """The longest run at which only the first sample's places differ, None if there is none."""
    length = len(differs)
    share = length // samples
    for run in range(share, 0, -1) if length % samples == 0 else ():
        if share % run == 0 and not bool(differs.view(-1, samples, run)[:, 1:].any()):
            return run
    return None


def _other_first(arg: Tensor) -> Tensor:
    if arg.dtype is torch.bool:
        return arg
    changed = arg.clone()
    if arg.is_floating_point():
        changed[0] = arg.max() + arg.min() + 1 - arg[0]
    else:  # the next of the values that occur, so that token ids stay valid
        values: Tensor = torch.unique(arg)
        changed[0] = values.roll(-1)[torch.searchsorted(values, arg[0].contiguous())]
    return changed
