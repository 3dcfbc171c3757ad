"""Widths and granularities for people."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

_RANGE = 3  # so many widths in a row are written as a range


def widths_text(widths: tuple[float, ...]) -> str:
    """*widths* for people: ``2 to 8``, ``1.5 to 5 in steps of 0.25``, or a list of such."""
    words, start = [], 0
    while start < len(widths):
        end = _run_end(widths, start)
        if end - start < _RANGE:
            end = start + 1
            words.append(f"{widths[start]:g}")
        else:
            step = widths[start + 1] - widths[start]
            words.append(f"{widths[start]:g} to {widths[end - 1]:g}"
                         + (f" in steps of {step:g}" if step != 1 else ""))
        start = end
    return ", ".join(words)


def granularity_names(known: Iterable[str]) -> list[str]:
    """*known* as they are written: groups with the place for their size."""
    return ["group:N" if name == "group" else name for name in known]


def _run_end(widths: tuple[float, ...], start: int) -> int:
    """Where the even steps that begin at *start* end."""
    steps = [b - a for a, b in pairwise(widths[start:])]
    return start + 1 + next((i for i, step in enumerate(steps) if step != steps[0]), len(steps))
