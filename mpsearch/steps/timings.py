"""From what walks took to times by operation, shape and scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mpsearch.core.flow import Flow, Piece, Step
from mpsearch.core.types import Scheme
from mpsearch.steps.laps import by_step
from mpsearch.steps.walks import Walk

Key = tuple[str, str, str]
"""Operation, shape and scheme."""
Spoken = Mapping[tuple[str, Scheme], Sequence[str]]
"""For a layer and the scheme it ran in, all schemes of its menu that run like this."""
_FLOAT = Scheme()


def read(flow: Flow, walks: Sequence[Walk], times: Sequence[Sequence[float]],
         spoken: Spoken) -> dict[Key, float]:
    """Milliseconds by operation, shape and scheme: means over the places where these run.

    The first walk is of the float model: operations that are no layers take what they take there.
    In any other walk a layer is charged with what its scheme makes the operations take that follow
    it, up to the next layer, beyond that: a result that lies in another order in memory, or a
    fusion. So the rows of a walk add up to what it took, along the graph.
    """
    found = _Found(spoken)
    reference = {name: math.fsum(parts) for name, parts in by_step(times[0], flow).items()}
    for step in flow.steps:
        found.note(step.pieces[0], _FLOAT, reference[step.name])
    for walk, taken in zip(walks[1:], times[1:], strict=True):
        for piece, own in _charges(flow, by_step(taken, flow), reference):
            if not piece.layer:
                found.note(piece, _FLOAT, own)
            elif piece.layer in walk.noted:
                found.note(piece, walk.schemes[piece.layer], own)
    means = found.means()
    for step in flow.steps:
        if step.opened:
            _whole(step, means)
    return means


def _charges(flow: Flow, taken: Mapping[str, Sequence[float]],
             reference: Mapping[str, float]) -> list[tuple[Piece, float]]:
    """Each layer with what it is charged with, and the softmax between products."""
    charges: list[tuple[Piece, float]] = []
    for step in flow.steps:
        parts, whole = taken[step.name], math.fsum(taken[step.name])
        if step.opened and parts[0]:
            # The layer that comes last is the one that is charged with what follows.
            order = (1, 0, 2)
            charges += [(step.opened[place], parts[place]) for place in order]
        elif step.pieces[0].layer:
            charges.append((step.pieces[0], whole))
        elif charges:
            piece, own = charges[-1]
            charges[-1] = piece, max(0.0, own + whole - reference[step.name])
    return charges


def _whole(step: Step, means: dict[Key, float]) -> None:
    """Price a product that is only ever in float beside another one that is, from their whole."""
    first, softmax, second = (_key(piece) for piece in step.opened)
    whole = means.get(_key(step.pieces[0]))
    for key, other in ((first, second), (second, first)):
        if whole is not None and key not in means and {other, softmax} <= means.keys():
            means[key] = max(0.0, whole - means[other] - means[softmax])


def _key(piece: Piece) -> Key:
    return piece.operation, piece.shape, str(_FLOAT)


class _Found:
    """Times by key while they are gathered."""

    def __init__(self, spoken: Spoken) -> None:
        self._spoken = spoken
        self._times: dict[Key, list[float]] = {}

    def note(self, piece: Piece, scheme: Scheme, milliseconds: float) -> None:
        """Note one place, for all schemes that run like *scheme*."""
        for name in self._spoken.get((piece.layer, scheme), (str(scheme),)):
            self._times.setdefault((piece.operation, piece.shape, name), []).append(milliseconds)

    def means(self) -> dict[Key, float]:
        """The mean of each."""
        return {key: math.fsum(each) / len(each) for key, each in self._times.items()}
