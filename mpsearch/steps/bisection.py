"""The smallest of a row of sizes that passes a noisy test, with few tests."""

from __future__ import annotations

from collections.abc import Callable


def smallest(count: int, passes: Callable[[int], bool]) -> int | None:
    """The place from which on, as far as was asked, *passes* says yes; None if it never did.

    Places 0 to *count* - 1 are sizes in rising order. At most ``ceil(log2(count + 1))`` are asked,
    none twice. A place that passed is never left for a larger one: whatever noise makes of the
    others, no smaller place that was asked passed, and the place below the answer was asked and
    failed (or is none).
    """
    low, high = -1, count
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle
    return high if high < count else None
