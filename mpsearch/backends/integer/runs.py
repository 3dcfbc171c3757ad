"""What runs instead of a layer's operation, for layers of integers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch.fx import Node

from mpsearch.backends.integer.codes import Coder
from mpsearch.backends.integer.conv import IntConv, groups_of
from mpsearch.backends.integer.linear import IntLinear
from mpsearch.backends.integer.matmul import Added, IntMatmul
from mpsearch.backends.integer.narrowed import Narrowed
from mpsearch.backends.integer.rules import whole
from mpsearch.backends.integer.site import Run
from mpsearch.backends.integer.weights import packed_filters, packed_weight
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.cut import Cut
from mpsearch.graph.sites import Call, Site
from mpsearch.kernels import PackedFilters, PackedWeight

Ranges = Mapping[str, StaticRange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Makes them from quantized weights and the calibrated *ranges* of layers.

    A weight that several calls use alike is packed once.
    """

    fake: FakeQuantizer
    ranges: Mapping[str, Ranges]
    _weights: dict[tuple[str, IntFormat, tuple[Node, ...]], PackedWeight] = field(
        default_factory=dict)

    def of(self, site: Site, call: Call, scheme: Scheme) -> Run:
        """For *call* at *site*, whose *scheme* has integers only.

        It takes the operands of an operation, or the two factors of a product inside attention.

        Raises:
            Unsupported: an operation, or a weight, of another form.
        """
        if call.parameter is None:
            product = self.product(call, scheme)
            return product if len(site.calls) > 1 else Added.of(site, product)
        coder = self._coder(call, "input", scheme)
        if call.operation.kind == "conv":
            return IntConv.of(site, self._filters(site, call, scheme), coder)
        cut = self.fake.cut(call.layer, scheme)
        run = IntLinear.of(site, self._weight(call, scheme, cut), coder)
        if cut is None:
            return run
        return Narrowed(run=run, cut=cut, outputs=len(self.fake.weights.rows(call.layer)))

    def product(self, call: Call, scheme: Scheme) -> IntMatmul:
        """The product of the two activations of *call*."""
        return IntMatmul(left=self._coder(call, "input", scheme),
                         right=self._coder(call, "other", scheme))

    def _coder(self, call: Call, operand: str, scheme: Scheme) -> Coder:
        fmt = getattr(scheme, operand)
        assert whole(fmt)  # noqa: S101 - it was checked
        static = self.ranges.get(call.layer, {}).get(operand) if fmt.calibrated else None
        return Coder(fmt=fmt, static=static, where=f"the {operand} of layer '{call.layer}'")

    def _weight(self, call: Call, scheme: Scheme, cut: Cut | None) -> PackedWeight:
        assert whole(scheme.weight)  # noqa: S101 - it was checked
        key = call.layer, scheme.weight, call.path
        if key not in self._weights:
            self._weights[key] = packed_weight(self.fake, call, scheme.weight, cut)
        return self._weights[key]

    def _filters(self, site: Site, call: Call, scheme: Scheme) -> PackedFilters:
        assert whole(scheme.weight)  # noqa: S101 - it was checked
        return packed_filters(self.fake, call, scheme.weight, groups_of(site))
