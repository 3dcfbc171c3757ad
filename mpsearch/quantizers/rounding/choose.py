"""Which loops round: compiled ones where they pay for the import of numba."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from mpsearch.core.loops import loops
from mpsearch.quantizers.rounding import plain

COMPILED = "mpsearch.quantizers.rounding.compiled"
_WORTH = 1 << 27  # numbers from which on compiled loops make up for the import of numba
_seen = 0


def loops_for(x: Tensor) -> ModuleType:
    """`compiled` for float32 numbers *x* in main memory, once there have been many of them.

    Else `plain`. Both give the same results, to the bit.
    """
    global _seen  # noqa: PLW0603  # a forward pass is many small tensors
    _seen += x.numel()
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return plain
    return loops(plain, COMPILED, worth=_seen >= _WORTH)
