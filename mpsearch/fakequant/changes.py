"""From a scheme to what is done to a layer's operands when the graph runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.core.formats import Format
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.cut import Cut, branch_of, cut_of
from mpsearch.fakequant.weights import Weights
from mpsearch.graph.execute import BRANCH
from mpsearch.graph.layers import Layers
from mpsearch.graph.operations import Change
from mpsearch.graph.sites import Call, reduced_axes
from mpsearch.quantizers.base import Params, fake_quantize, from_static
from mpsearch.quantizers.of_kind import quantizer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeQuantizer:
    """Makes the changes that a scheme asks for, from fitted weights and calibrated ranges."""

    layers: Layers
    weights: Weights

    def changes(self, layer: str, scheme: Scheme, ranges: Mapping[str, StaticRange],
                *, with_weight: bool = True) -> dict[str, Change]:
        """What *scheme* does to each operand of *layer*; static formats take their *ranges*.

        Where it skips the layer's branch, that is all: it is done once, by the first layer there.

        Raises:
            BadInput: it keeps units of a branch that the layer is not in.
        """
        call = self.layers.call(layer)
        own = scheme.for_kind(call.operation.kind)
        if own.keep is not None and own.keep.skips:
            first = branch_of(self.layers, layer, own.keep).layers[0]
            return {BRANCH: torch.zeros_like} if layer == first else {}
        cut = self.cut(layer, own)
        made: dict[str, Change] = {}
        if with_weight and (own.weight is not None or cut is not None):
            made["weight"] = self._weight(layer, own.weight, cut)
        for operand, fmt in (("input", own.input), ("other", own.other)):
            if fmt is not None:
                change = _activation(call, operand, fmt, ranges)
                made[operand] = cut.of_input(change) if cut and cut.axis else change
        return made

    def stored(self, layer: str, scheme: Scheme) -> tuple[Node, Tensor] | None:
        """The parameter's node and its value under *scheme*; None where that leaves it alone."""
        cut = self.cut(layer, scheme)
        if scheme.skips or (scheme.weight is None and cut is None):
            return None
        return self.weights.fake_as_stored(layer, scheme.weight, cut)

    def cut(self, layer: str, scheme: Scheme) -> Cut | None:
        """What *scheme* leaves of the weight of *layer*; None where that is all of it."""
        keep = scheme.keep
        return None if keep is None else cut_of(branch_of(self.layers, layer, keep), layer, keep)

    def _weight(self, layer: str, fmt: Format | None, cut: Cut | None) -> Change:
        quantized = self.weights.fake(layer, fmt, cut)
        return lambda _stored: quantized


def _activation(call: Call, operand: str, fmt: Format,
                ranges: Mapping[str, StaticRange]) -> Change:
    quantizer = quantizer_of(fmt)

    @cache
    def params_on(device: torch.device) -> Params:
        return from_static(ranges[operand], device)

    def static(values: Tensor) -> Tensor:
        params = params_on(values.device)
        return fake_quantize(quantizer, values, params, fmt)

    def dynamic(values: Tensor) -> Tensor:
        axes = reduced_axes(call, operand, values.dim())
        params = quantizer.fit(values, [fmt], axes)[0]
        return fake_quantize(quantizer, values, params, fmt, axes)

    return static if fmt.calibrated else dynamic
