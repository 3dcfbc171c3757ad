"""The integer backend's layers, offered for timing."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

from mpsearch.backends.integer.conv import IntConv
from mpsearch.backends.integer.linear import IntLinear
from mpsearch.backends.integer.rules import in_integers
from mpsearch.backends.integer.runs import Runs
from mpsearch.backends.integer.site import Run as IntegerRun
from mpsearch.backends.timing import Offer, Place, Run, float_offer
from mpsearch.core.types import Scheme
from mpsearch.core.version import version_of
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.kernels import WholeWeight, kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerTimes:
    """Packed weights times integer activations; what the backend leaves in float, in float."""

    @property
    def fusions(self) -> tuple[str, ...]:
        """None: each operation of the graph runs alone."""
        return ()

    @property
    def packed(self) -> bool:
        """Yes: weights are read at the width of their codes."""
        return True

    def versions(self) -> Mapping[str, str]:
        """Those of the tensor library and of the kernels, with their instruction set."""
        own = kernels()
        return {**{name: version_of(name) for name in ("mpsearch", "torch")},
                "kernels": own.path if own else "torch"}

    def offer(self, place: Place, scheme: Scheme) -> Offer:
        """The layer in integers where the scheme says so, else in float.

        Raises:
            Unsupported: codes that no kernel multiplies.
        """
        call = place.call
        own = scheme.for_kind(call.operation.kind) if call else scheme
        if call is None or not in_integers(call, own):
            return float_offer(place)
        ranges = {call.layer: chosen_ranges(place.ranges, call.layer,
                                            {"input": own.input, "other": own.other})}
        runs = Runs(fake=place.fake, ranges=ranges)
        if place.site is None:
            return Offer(alike=str(own), weight_bytes=0,
                         make=lambda: _product(place, runs.product(call, own)))
        run = runs.of(place.site, call, own)
        return Offer(alike=str(own), weight_bytes=_bytes(run),
                     make=lambda: _bound(deepcopy(run), place.args))


def _product(place: Place, product: IntegerRun) -> Run:
    first, other = place.args[:2]
    right = other.transpose(-2, -1) if place.transposed else other
    return lambda: product(first, right)


def _bound(run: IntegerRun, args: tuple[object, ...]) -> Run:
    return lambda: run(args)


def _bytes(run: IntegerRun) -> int:
    if isinstance(run, IntConv):
        return sum(part.stream.nbytes for each in run.filters.parts for part in each.parts)
    if isinstance(run, IntLinear):
        return sum(WholeWeight.of(part).nbytes for parts in run.weight.parts for part in parts)
    return 0
