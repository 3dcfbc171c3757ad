"""How a backend offers what it can run for timing: the protocol of a provider.

A provider is a plug-in of the kind ``provider``: a frozen dataclass with `Provider`'s members.
`mpsearch profile` shows it every piece of a model (`Place`) under every scheme of a space and times
what it offers. What it cannot run it refuses, and no time is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from mpsearch.core.flow import Piece
from mpsearch.core.types import Scheme
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.keys import Ranges
from mpsearch.graph.sites import Call, Site

Run = Callable[[], object]
"""Runs the piece once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One piece of a model, with what went into it in a run on a batch of samples.

    *target* is the operation that ran, on *args* and *kwargs*: tensors of the whole batch. A layer
    has its *call*, and its *site* where that is an operation of its own. The parts of fused
    attention have none: their *args* are the two factors as they are stored (keys not transposed,
    which *transposed* says) or the logits, and *target* is None. *fake* and *ranges* hold quantized
    weights and calibrated ranges of all layers.
    """

    piece: Piece
    target: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    call: Call | None = None
    site: Site | None = None
    transposed: bool = False
    fake: FakeQuantizer
    ranges: Ranges

    @property
    def weight(self) -> Tensor | None:
        """The weight as the operation reads it, None where there is none."""
        part = self.call.operation.weight if self.call else None
        return None if part is None or self.site is None else self.args[part.index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something to time. *make* is called once for each copy of the weights and returns what runs.

    *weight_bytes* are the bytes of weights that one run reads: beyond twice the largest cache more
    copies would change nothing. Offers of one piece with the same *alike* run the same code
    on operands of the same size, and are timed once.
    """

    alike: str
    weight_bytes: int
    make: Callable[[], Run]


class Provider(Protocol):
    """Offers pieces of a model for timing. *fusions* are as `MachineTable` has them."""

    @property
    def fusions(self) -> tuple[str, ...]:
        """Operations that the provider runs together."""
        ...

    @property
    def packed(self) -> bool:
        """Whether weights are read at the width of their scheme, not in float."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Libraries whose versions decide the times."""
        ...

    def offer(self, place: Place, scheme: Scheme) -> Offer:
        """How to run *place* under *scheme* (of the operands that it has).

        Raises:
            Unsupported: it cannot be run.
        """
        ...


def float_offer(place: Place) -> Offer:
    """*place* as the float model runs it, each copy with a weight of its own."""
    weight = place.weight
    return Offer(alike="float", weight_bytes=0 if weight is None else weight.nbytes,
                 make=lambda: _plain(place))


def _plain(place: Place) -> Run:
    args, kwargs, target = own_weight(place), place.kwargs, place.target
    if target is not None:
        return lambda: target(*args, **kwargs)
    if len(args) == 1:
        return lambda: torch.softmax(args[0], -1)
    first, other = args[0], args[1].transpose(-2, -1) if place.transposed else args[1]
    return lambda: torch.matmul(first, other)


def own_weight(place: Place) -> tuple[Any, ...]:
    """The arguments of *place* with a copy of its weight."""
    weight = place.weight
    if weight is None:
        return place.args
    return tuple(weight.clone() if arg is weight else arg for arg in place.args)
