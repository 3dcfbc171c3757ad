"""Where a run of a graph stands: whatever runs it tells after each operation that it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Mark = Callable[..., None]
"""Takes the name of the operation (or of a part of fused attention) that is done.

A second argument is its share of the time since the one before, where that is not all of it."""
LOGITS = "(logits)"
CHANCES = "(chances)"
"""Parts of fused attention that runs in the open: its first product, and the softmax. The second
product ends with the operation itself."""
_WATCHING: ContextVar[Mark | None] = ContextVar("watching", default=None)


def watching() -> Mark | None:
    """What to tell in this thread, None where nobody watches (almost always)."""
    return _WATCHING.get()


def mark(part: str, share: float = 1.0) -> None:
    """Tell that a *part* of an operation is done, in such a *share* of the time since the last."""
    told = _WATCHING.get()
    if told is not None:
        told(part, share)


@contextmanager
def laps() -> Iterator[list[tuple[str, int]]]:
    """What is done inside the block, in order, each with the nanoseconds since the one before.

    They are of the wall's clock, which is read in a fraction of a microsecond; the CPU's takes
    several. A lap during which something else ran is too long: take the shortest of several runs.
    """
    done: list[tuple[str, int]] = []
    clock = time.perf_counter_ns
    last = clock()

    def lap(name: str, share: float = 1.0) -> None:
        nonlocal last
        taken = int((clock() - last) * share)
        done.append((name, taken))
        last += taken

    token = _WATCHING.set(lap)
    last = clock()
    try:
        yield done
    finally:
        _WATCHING.reset(token)
