"""Parts of a tensor that stay in a core's cache through several steps."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

_ROOM = 1 << 16


def tiles(x: Tensor) -> Iterator[tuple[slice, slice]]:
    """Where *x* [S, L] is cut: whole rows, or pieces of one row. A graphics processor needs none.

    A piece is empty nowhere, and every number is in one.
    """
    slices, length = x.shape
    on_cpu = x.device.type == "cpu"
    height = max(1, _ROOM // max(1, length)) if on_cpu else max(1, slices)
    width = _ROOM if on_cpu else max(1, length)
    for row in range(0, slices, height):
        for column in range(0, length, width):
            yield slice(row, row + height), slice(column, column + width)
