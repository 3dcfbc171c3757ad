"""What a policy says of the layers, as the integers that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.orientation import changed_rows, viewed
from mpsearch.graph.sites import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a layer wants an operand: a scale, and the integers between *limits*, zero at 0."""

    scale: Fraction
    limits: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The schemes and static ranges of a policy, and the model they are for."""

    program: Program
    fake: FakeQuantizer
    schemes: Mapping[str, Scheme]
    ranges: Mapping[str, Mapping[str, StaticRange]]

    def operand(self, layer: str, operand: str) -> Target:
        """The static grid of an activation: codes less the zero point.

        Raises:
            Unsupported: it is left in float, or in a format other than calibrated integers.
        """
        fmt = self.format(layer, operand)
        if not fmt.calibrated:
            raise Unsupported(f"layer '{layer}': its {operand} gets a new scale for every token "
                              f"({fmt}); integer_only needs one that is calibrated")
        found = self.ranges.get(layer, {}).get(operand)
        if found is None:
            raise Unsupported(f"layer '{layer}': its {operand} has no calibrated range; "
                              "integer_only needs one")
        first, last = fmt.code_range
        return Target(scale=Fraction(found.scale),
                      limits=(first - found.zero_point, last - found.zero_point))

    def weight(self, call: Call) -> tuple[Tensor, Tensor]:
        """The weight's integers less their zero points as the operation reads it, and the scales.

        int32 and float64, both of the operand's shape.

        Raises:
            Unsupported: it is left in float, or in a format other than integers with a scale an
                output channel or a tensor.
        """
        fmt = self.format(call.layer, "weight")
        if fmt.group_size is not None:
            raise Unsupported(f"layer '{call.layer}': its weight has a scale for every "
                              f"{fmt.group_size} numbers ({fmt}); integer_only needs one a channel")
        codes, params = self.fake.weights.encode(call.layer, fmt)
        rows = (-1, *[1] * (codes.dim() - 1))
        zero, scale = params.zero_point.reshape(rows), params.scale.double().reshape(rows)
        return (self._as_read(call, codes - zero), self._as_read(call, scale.expand(codes.shape)))

    def format(self, layer: str, operand: str) -> IntFormat:
        """The integer format of an operand.

        Raises:
            Unsupported: it has another format, or none.
        """
        fmt = getattr(self.schemes.get(layer, Scheme()), operand)
        if not isinstance(fmt, IntFormat):
            what = "is left in floating point" if fmt is None else f"is no plain integer ({fmt})"
            raise Unsupported(f"layer '{layer}': its {operand} {what}; integer_only needs integers "
                              "everywhere: allocate in a space with integer weights and static "
                              "integer activations")
        return fmt

    def _as_read(self, call: Call, rows: Tensor) -> Tensor:
        assert call.parameter is not None  # noqa: S101 - only weighted layers come here
        stored = self.program.parameters[call.parameter]
        turned = viewed(changed_rows(stored, lambda _: rows, call.summed), call.path)
        return turned.to(torch.int32) if not turned.is_floating_point() else turned
