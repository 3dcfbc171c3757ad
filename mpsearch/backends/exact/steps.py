"""Operands as whole numbers of their scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.orientation import changed_rows, viewed
from mpsearch.graph.sites import Call
from mpsearch.quantizers.base import Params, from_static
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.of_kind import quantizer_of


class Steps(NamedTuple):
    """Numbers ``whole * scale``: *whole* ones in float64; *scale* is float32."""

    whole: Tensor
    scale: Tensor


def activation_steps(x: Tensor, fmt: IntFormat, static: StaticRange | None,
                     axes: Sequence[int]) -> Steps:
    """*x* in *fmt*, on its calibrated range or with a new scale for every token.

    Raises:
        BadInput: it has values that are not finite.
    """
    quantizer = quantizer_of(fmt)
    params = (quantizer.fit(x, [fmt], axes)[0] if static is None
              else from_static(static, x.device))
    return _steps(quantizer.encode(x, params, fmt, axes), params, fmt, axes)


def weight_steps(fake: FakeQuantizer, call: Call, fmt: IntFormat) -> Steps:
    """The weight of *call* in *fmt*, as its operation reads it; a scale for every number."""
    codes, params = fake.weights.encode(call.layer, fmt)
    stored = fake.weights.stored(call.layer)

    def read(table: Tensor) -> Tensor:
        return viewed(changed_rows(stored, lambda _: table, call.summed), call.path)

    own = _steps(codes, params, fmt, None)
    return Steps(read(own.whole), read(own.scale))


def _steps(codes: Tensor, params: Params, fmt: IntFormat, axes: Sequence[int] | None) -> Steps:
    layout = layout_of(codes.shape, fmt, axes)
    length = layout.to_slices(codes).shape[1]
    scale, zero = (layout.from_slices(each.expand(layout.slices, length))
                   for each in (params.scale, params.zero_point))
    return Steps((codes - zero).double(), scale)
