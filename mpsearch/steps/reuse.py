"""Runs of choices that begin where they first differ from the best one so far."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mpsearch.backends.simulated import SimulatedModule
from mpsearch.core.types import Scheme
from mpsearch.graph.checkpoints import Kept, first_use, spread_places
from mpsearch.sources.batch import Batches
from mpsearch.steps.capture import Captured

_PLACES = 8
_COPIES = 2
"""The best run is kept, and the one that may take its place."""


class Reuse:
    """Keeps values of the best run of a model on *batches*, within *memory* bytes in all."""

    def __init__(self, captured: Captured, batches: Batches, memory: int) -> None:
        self._captured, self._batches, self._memory = captured, batches, memory
        self._places: tuple[int, ...] | None = None
        self._best: dict[str, Scheme] = {}
        self._kept: dict[int, Kept] = {}
        self._now: dict[int, Kept] = {}
        self._schemes: dict[str, Scheme] = {}
        self._first = 0

    def begin(self, schemes: Mapping[str, Scheme]) -> None:
        """Another choice is to run, whose layers have these *schemes*."""
        self._schemes, self._now = dict(schemes), {}
        changed = [name for name, scheme in schemes.items() if self._best.get(name) != scheme]
        self._first = first_use(self._captured.program, self._captured.layers, changed)

    def run(self, module: SimulatedModule, args: tuple[Tensor, ...], index: int) -> Tensor:
        """The output of the choice on the batch of that *index*."""
        known = self._kept.get(index, {})
        output, kept = module.forward_kept(
            args, self._chosen(args), {place: values for place, values in known.items()
                                       if place <= self._first})
        self._now[index] = kept
        return output

    def better(self) -> None:
        """The choice that ran last is the best one: others begin from its values."""
        self._best, self._kept = self._schemes, self._now

    def _chosen(self, args: tuple[Tensor, ...]) -> tuple[int, ...]:
        """As many places as the memory has room for, by what one batch keeps at each."""
        if self._places is None:
            program, layers = self._captured.program, self._captured.layers
            shapes, size = self._captured.shapes, len(args[0])
            places = spread_places(program, layers, _PLACES)
            room = self._memory / (_COPIES * len(self._batches))
            held = [sum(4 * size * _numbers(shapes.one(node)) for node in program.live(place))
                    for place in places]
            while places and sum(held) > room:
                worst = held.index(max(held))
                places, held = places[:worst] + places[worst + 1:], held[:worst] + held[worst + 1:]
            self._places = places
        return self._places


def _numbers(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
