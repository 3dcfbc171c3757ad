"""Cut samples anew into batches of one size, and check what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import torch

from mpsearch.core.errors import BadInput
from mpsearch.sources.batch import Batch

_ABOUT = ("labels", "segments", "tokens")


def recut(batches: Iterable[Batch], size: int, *, where: str) -> list[Batch]:
    """The same samples in the same order, *size* a batch.

    A batch is shorter at the end, and before a sample whose tensors have another shape.

    Raises:
        BadInput: inputs that are not finite, or labels in some batches only.
    """
    cut = [batch for _, run in groupby(batches, key=_signature) for batch in _cut(list(run), size)]
    for name in _ABOUT:
        if len({getattr(batch, name) is None for batch in cut}) > 1:
            raise BadInput(f"{where} has {name} in some batches only: give all of them {name}, or "
                           "none")
    _check_finite(cut, where)
    return cut


def _signature(batch: Batch) -> tuple[Any, ...]:
    about = (getattr(batch, name) for name in _ABOUT)
    return (*(None if each is None else each.shape[1:] for each in about),
            *((arg.shape[1:], arg.dtype, arg.device) for arg in batch.args))


def _cut(run: list[Batch], size: int) -> Iterator[Batch]:
    about = {name: torch.cat([getattr(batch, name) for batch in run]) for name in _ABOUT
             if getattr(run[0], name) is not None}
    whole = Batch(args=tuple(torch.cat(column) for column in zip(*(batch.args for batch in run),
                                                                 strict=True)), **about)
    for first in range(0, whole.size, size):
        yield whole.rows(slice(first, first + size))


def _check_finite(batches: list[Batch], where: str) -> None:
    before = 0
    for batch in batches:
        for arg in batch.args:
            if arg.is_floating_point() and not bool(arg.isfinite().all()):
                bad = int((~arg.isfinite()).reshape(batch.size, -1).any(1).nonzero()[0])
                raise BadInput(f"{where} has an input that is NaN or infinite (sample "
                               f"{before + bad} of those read): take it out of the data")
        before += batch.size
