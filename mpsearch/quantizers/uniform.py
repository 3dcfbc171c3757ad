"""The uniform integer quantizer: a value is (code - zero point) * scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats import IntFormat, ScaleRule
from mpsearch.quantizers.absmax import absmax
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import layout_for
from mpsearch.quantizers.elementwise import Elementwise, by_layout
from mpsearch.quantizers.layout import Layout
from mpsearch.quantizers.least_squares import least_squares
from mpsearch.quantizers.percentile import percentile
from mpsearch.quantizers.rounding.choose import loops_for
from mpsearch.quantizers.rows import Rows
from mpsearch.quantizers.slices import Slices

_RULES: dict[ScaleRule, Callable[[Slices, Sequence[IntFormat]], list[Params]]] = {
    "absmax": absmax,
    "percentile": percentile,
    "least_squares": least_squares,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform(Elementwise[IntFormat]):
    """Round to the nearest code, ties to even, and clip to the code range.

    Arithmetic is float32 on every input. 0.0 always has a code, and comes back as 0.0. Magnitudes
    may go from the smallest float32 number to 2**127.
    """

    def fit(
        self, x: Tensor, formats: Sequence[IntFormat], axes: Sequence[int] | None = None
    ) -> list[Params]:
        """Parameters of *x* in each of *formats*; formats of one layout share its statistics.

        Stored scales are rounded as they are stored (see `ScaleGrid`) before they are judged.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        def found(layout: Layout, own: list[IntFormat]) -> list[Params]:
            slices = Slices.of(x, layout)
            made: dict[int, Params] = {}
            for name, rule in _RULES.items():
                chosen = [i for i, fmt in enumerate(own) if fmt.scale == name]
                if chosen:
                    results = rule(slices, [own[i] for i in chosen])
                    made.update(zip(chosen, results, strict=True))
            return [made[i] for i in range(len(own))]

        return by_layout(x, formats, axes, found)

    def coded(self, rows: Tensor, params: Params, fmt: IntFormat, layout: Layout) -> Tensor:
        """The nearest codes, ties to even."""
        del layout
        codes = (rows.float() / params.scale).round_().add_(params.zero_point)
        return codes.clamp_(*fmt.code_range).to(torch.int32)

    def values(self, codes: Tensor, params: Params, fmt: IntFormat, layout: Layout) -> Tensor:
        """Codes less the zero point, times the scale."""
        del fmt, layout
        return codes.to(torch.float32, copy=True).sub_(params.zero_point).mul_(params.scale)

    def round_trip(self, x: Tensor, params: Params, fmt: IntFormat,
                   axes: Sequence[int] | None = None) -> Tensor:
        """What `decode` makes of what `encode` makes of *x*, in its dtype, and faster.

        Codes stay whole float32 numbers: those of 16 bits are exact.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        rows = Rows.of(x.detach(), layout_for(x.shape, params, fmt, axes))
        if not x.numel():
            return x.detach().clone()
        out = torch.empty(rows.x.shape, device=x.device)
        loops_for(rows.x).integers(rows.x, params.scale, params.zero_point.float(),
                                   fmt.code_range, out)
        return rows.back(out.to(x.dtype))
