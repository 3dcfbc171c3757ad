"""Where a kernel runs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at(x: Tensor) -> AbstractContextManager[object]:
    """Launches inside the block go to the GPU of *x*; on a CPU Triton's interpreter runs them."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def step(table: Tensor) -> int:
    """From a row's number to the next one's; 0 where there is one for all."""
    return 0 if table.numel() == 1 else 1


def tiles(count: int, block: int) -> int:
    """Blocks that hold *count* numbers."""
    return -(-count // block)
