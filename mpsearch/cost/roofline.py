"""Roofline: predicts the times of a device from what it can compute and read in a second."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from mpsearch.core.flow import Flow, Piece
from mpsearch.core.formats import Format
from mpsearch.core.machine import MachineTable, Peak, Timing
from mpsearch.core.narrowed import narrowed, narrowed_piece
from mpsearch.core.types import LayerSpec, Scheme, SearchSpace, unique_weights
from mpsearch.cost.profiles import DeviceProfile
from mpsearch.cost.size import stored_bits

_US = 1e-3  # in ms
_G = 1e6  # 1e9 a second is so many a ms


def predict(profile: DeviceProfile, space: SearchSpace, flow: Flow, *, batch: int = 1,
            threads: int = 1) -> MachineTable:
    """The table of *profile* for everything that *space* may run.

    A piece takes the longer of its arithmetic and its memory traffic, and a launch. Arithmetic runs
    at the rate of the narrowest width that holds both operands, at the float rate where either is
    in float (weights are then decoded first). Weights come from the fastest memory that would hold
    all weights of the model in this scheme, activations from the one that holds this operation's
    own; outputs are in float. Operations without a product cost their traffic alone, and views
    nothing. No peak is ever reached: read the result as a bound from below.

    Source: S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance
    model for multicore architectures", Communications of the ACM 52(4), 2009.

    Raises:
        BadInput: the profile has no rates for so many *threads*.
    """
    profile.require_threads(threads)
    made = _Roofline(profile=profile, space=space, batch=batch, threads=threads)
    rows = [Timing(operation=piece.operation, shape=piece.shape, scheme=str(scheme), batch=batch,
                   threads=threads, milliseconds=made.time(piece, scheme))
            for piece, scheme in flow.needed(space, narrowed=True).values()]
    return MachineTable(device=profile.name, provider="roofline", cpu=profile.title,
                        origin="predicted", fusions=profile.fusions, rows=tuple(rows),
                        peaks=(Peak(threads=threads, gflops=profile.peak(None, threads),
                                    gbytes=profile.bandwidth(math.inf, threads)),))


@dataclass(frozen=True, kw_only=True)
class _Roofline:
    """One prediction: whose times, of what, for how much at once."""

    profile: DeviceProfile
    space: SearchSpace
    batch: int
    threads: int

    def time(self, piece: Piece, scheme: Scheme) -> float:
        """Milliseconds of *piece* under *scheme*."""
        if piece.kind == "view" or scheme.skips:
            return 0.0
        if piece.layer:
            piece = narrowed_piece(piece, self._layers[piece.layer], scheme)
        profile, threads = self.profile, self.threads
        moved = self.batch * _activation_bytes(profile, piece, scheme)
        reading = moved / profile.bandwidth(moved, threads)
        rate = profile.peak(None, threads)
        if piece.layer:
            layer = self._layers[piece.layer]
            weights = _weight_bytes(profile, layer, scheme)
            if layer.kind == "embedding" and layer.weights:  # only the rows that are looked up
                weights *= min(1.0, self.batch * piece.outputs / layer.weights)
            reading += weights / profile.bandwidth(self._held(scheme), threads)
            rate = profile.peak(_width(layer, scheme), threads)
        computing = 2 * self.batch * piece.macs / rate
        return max(computing, reading) / _G + profile.overhead_us * _US

    @cached_property
    def _layers(self) -> dict[str, LayerSpec]:
        return {layer.name: layer for layer in self.space.layers}

    @cached_property
    def _known(self) -> dict[Scheme, float]:
        return {}

    def _held(self, scheme: Scheme) -> float:
        """Bytes of all weights of the model, were all of them in *scheme*."""
        if scheme not in self._known:
            whole = replace(scheme, keep=None)
            self._known[scheme] = sum(_weight_bytes(self.profile, each, whole.for_kind(each.kind))
                                      for each in unique_weights(self.space.layers))
        return self._known[scheme]


def _width(layer: LayerSpec, scheme: Scheme) -> float | None:
    """Bits of the wider operand, None where one is in float or decoded to it."""
    both = (scheme.input, scheme.other if layer.kind == "matmul" else scheme.weight)
    if any(fmt is None or fmt.DECODED for fmt in both):
        return None
    return max(fmt.bits for fmt in both if fmt)


def _weight_bytes(profile: DeviceProfile, layer: LayerSpec, scheme: Scheme) -> float:
    if scheme.weight is None:
        return narrowed(layer, scheme).weights * profile.float_bits / 8
    return stored_bits(layer, scheme) / 8


def _activation_bytes(profile: DeviceProfile, piece: Piece, scheme: Scheme) -> float:
    def bits(fmt: Format | None) -> int:
        return profile.float_bits if fmt is None else fmt.code_bits

    taken = (piece.inputs - piece.others) * bits(scheme.input) + piece.others * bits(scheme.other)
    return (taken + piece.outputs * profile.float_bits) / 8
