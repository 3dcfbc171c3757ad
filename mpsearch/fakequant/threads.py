"""How many threads small work runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SMALL_MACS = 4e9
"""Multiply-accumulates a batch below which a second thread costs more than it brings."""
_SMALL_TENSOR = 1 << 20


@contextmanager
def threads_for(*, macs: float = 0.0, elements: int = 0) -> Iterator[None]:
    """Run on one thread if the work in hand is small, else on as many as torch is set to.

    Every operation on several threads ends in a barrier. On a busy machine that takes
    milliseconds, many times the operation itself for a small model or tensor.
    """
    before = torch.get_num_threads()
    if before == 1 or macs > _SMALL_MACS or elements > _SMALL_TENSOR:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
