"""Milliseconds of a model's operations while it runs: the shortest of several runs, each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from mpsearch.core.errors import Unsupported
from mpsearch.core.flow import Flow, Step
from mpsearch.graph.laps import CHANCES, LOGITS, laps

PARTS = 3
"""Times of a step: its first product, its softmax, and the rest of it (or the whole step)."""
_PLACES = {LOGITS: 0, CHANCES: 1}
_NS_PER_MS = 1e6
PASSES = 3


@torch.inference_mode()
def shortest(run: Callable[[], Any], flow: Flow, passes: int = PASSES) -> list[float]:
    """Milliseconds of every part of every step of *flow* while *run* runs the model.

    Each is the shortest of so many *passes*, after one that brings the weights into the caches.
    What runs between two steps counts to the first of them, and what runs before all to that.

    Raises:
        Unsupported: what runs does not tell where it stands.
    """
    run()
    found = [_once(run, flow.steps) for _ in range(passes)]
    return [min(each) / _NS_PER_MS for each in zip(*found, strict=True)]


def _once(run: Callable[[], Any], steps: Sequence[Step]) -> list[int]:
    numbers = {step.name: number for number, step in enumerate(steps)}
    with laps() as done:
        run()
    times = [0] * (PARTS * len(steps))
    first, current, inside = 0, -1, [0, 0]
    for name, taken in done:
        if name in _PLACES:
            inside[_PLACES[name]] += taken + first
            first = 0
        elif name in numbers:
            current = numbers[name]
            for place, part in enumerate((*inside, taken + first)):
                times[PARTS * current + place] += part
            first, inside = 0, [0, 0]
        elif current < 0:
            first += taken
        else:
            times[PARTS * current + PARTS - 1] += taken
    if current < 0:
        raise Unsupported("what runs this model does not tell when an operation is done, so that "
                          "nothing can be timed: --import a table")
    return times


def by_step(times: Sequence[float], flow: Flow) -> Mapping[str, tuple[float, ...]]:
    """The parts of each step, by its name."""
    return {step.name: tuple(times[PARTS * number: PARTS * (number + 1)])
            for number, step in enumerate(flow.steps)}


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Compute on so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
