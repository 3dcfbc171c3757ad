"""The simulated backend's layers, offered for timing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from mpsearch.backends.timing import Offer, Place, Run, float_offer, own_weight
from mpsearch.core.types import Scheme
from mpsearch.core.version import version_of
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.graph.operations import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTimes:
    """Fake quantization as it runs: weights dequantized beforehand, activations on the way.

    So every width of a weight takes the same time, that of the float weight. These times say how
    long the simulation takes; no integer kernel is behind them.
    """

    @property
    def fusions(self) -> tuple[str, ...]:
        """None: each operation of the graph runs alone."""
        return ()

    @property
    def packed(self) -> bool:
        """No: weights are read in float."""
        return False

    def versions(self) -> Mapping[str, str]:
        """Those of the tensor library and of the quantizers."""
        return {name: version_of(name) for name in ("mpsearch", "torch")}

    def offer(self, place: Place, scheme: Scheme) -> Offer:
        """The layer with its activations going through their formats."""
        moving = Scheme(input=scheme.input, other=scheme.other)
        whole = float_offer(place)
        if place.call is None or moving.is_float:
            return whole
        layer = place.call.layer
        ranges = chosen_ranges(place.ranges, layer, {"input": moving.input, "other": moving.other})
        changes = place.fake.changes(layer, moving, ranges)
        return replace(whole, alike=str(moving), make=lambda: _changed(place, changes))


def _changed(place: Place, changes: Mapping[str, Change]) -> Run:
    args, kwargs, site = own_weight(place), place.kwargs, place.site
    if site is not None:
        made = {site.calls[0].layer: changes}
        return lambda: site.run(args, kwargs, made, {})
    first, other = (changes.get(name, _same) for name in ("input", "other"))
    if place.transposed:
        return lambda: torch.matmul(first(args[0]), other(args[1]).transpose(-2, -1))
    return lambda: torch.matmul(first(args[0]), other(args[1]))


def _same(values: torch.Tensor) -> torch.Tensor:
    return values
