"""The loops of `plain`, compiled by numba on first use; for float32 numbers in main memory.

Every operation is that of `plain`, none is reordered or fused, so that results agree to the bit.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpsearch.core.loops import compiled
from mpsearch.quantizers.checked import finite
from mpsearch.quantizers.rounding.lookup import Table

Floats = NDArray[np.float32]
Places = NDArray[np.uint32]

_BLOCK = 4096
"""Numbers that stay in a core's nearest cache between two visits.

Places are unsigned: numba lets others count from the end, which takes twice the time.
"""


def integers(x: Tensor, scale: Tensor, zero: Tensor, limits: tuple[int, int], out: Tensor) -> None:
    """See `plain.integers`."""
    ends = np.float32(limits[0]), np.float32(limits[1])
    if not _integers(_flat(x), x.stride(0), (_numbers(scale), _numbers(zero)), ends, out.numpy()):
        finite(x)


def levels(x: Tensor, scale: Tensor, shift: Tensor, table: Table, out: Tensor) -> None:
    """See `plain.levels`."""
    units = table.levels.numpy(), _numbers(scale), _numbers(shift)[0]
    own = table.lookup
    cells = (own.lower.numpy().view(np.uint32), own.upper.numpy(), own.dropped, own.first,
             np.float32(own.low), np.float32(own.high))
    if not _levels(_flat(x), x.stride(0), units, cells, out.numpy()):
        finite(x)


def _flat(x: Tensor) -> Floats:
    """The memory from the first to the last number of *x* [R, L]."""
    span = (x.shape[0] - 1) * x.stride(0) + x.shape[1]
    flat: Floats = torch.as_strided(x, (span,), (1,)).numpy()
    return flat


def _numbers(each: Tensor) -> Floats:
    numbers: Floats = each.reshape(-1).numpy()
    return numbers


@compiled
def _integers(x: Floats, stride: int, units: tuple[Floats, Floats],
              limits: tuple[np.float32, np.float32], out: Floats) -> bool:
    """Whether all numbers are finite."""
    (scale, zero), (low, high) = units, limits
    finite = True
    for r in range(out.shape[0]):
        row, to = x[r * stride: r * stride + out.shape[1]], out[r]
        step, start = scale[r if scale.size > 1 else 0], zero[r if zero.size > 1 else 0]
        for i in range(row.size):
            finite &= abs(row[i]) < np.inf
            code = np.rint(row[i] / step) + start
            code = min(max(code, low), high)
            to[i] = (code - start) * step
    return finite


@compiled
def _levels(x: Floats, stride: int, units: tuple[Floats, Floats, np.float32],
            cells: tuple[Places, Floats, int, int, np.float32, np.float32], out: Floats) -> bool:
    """Whether all numbers are finite."""
    table, scale, shift = units
    lower, upper, dropped, first, low, high = cells
    values = np.empty_like(table)
    finite = True
    for r in range(out.shape[0]):
        row, to = x[r * stride: r * stride + out.shape[1]], out[r]
        step = scale[r if scale.size > 1 else 0]
        if r == 0 or scale.size > 1:
            for k in range(table.size):
                values[k] = table[k] * step + shift
        for start in range(0, row.size, _BLOCK):
            block, near = row[start: start + _BLOCK], to[start: start + _BLOCK]
            for i in range(block.size):
                finite &= abs(block[i]) < np.inf
                near[i] = min(max((block[i] - shift) / step, low), high)
            if not finite:  # then there may be no such cell
                return False
            bits = near.view(np.int32)
            for i in range(block.size):
                place = lower[np.uint32((bits[i] >> dropped) - first)]
                near[i] = values[np.uint32(place + np.uint32(near[i] > upper[place]))]
    return True
