"""What runs instead of a layer's operation, for layers of integers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch.fx import Node

from mpsearch.backends.integer.codes import Coder, coder_of
from mpsearch.backends.integer.conv import IntConv, groups_of
from mpsearch.backends.integer.filters import filters_of
from mpsearch.backends.integer.linear import IntLinear
from mpsearch.backends.integer.matmul import Added, IntMatmul
from mpsearch.backends.integer.narrowed import Narrowed
from mpsearch.backends.integer.refusal import of_layer
from mpsearch.backends.integer.site import Run
from mpsearch.backends.integer.weights import Matrices, matrices
from mpsearch.core.formats import Format
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.fakequant.cut import Cut
from mpsearch.graph.sites import Call, Site

Ranges = Mapping[str, StaticRange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Makes them from quantized weights and the calibrated *ranges* of layers.

    A weight that several calls use alike is packed once.
    """

    fake: FakeQuantizer
    ranges: Mapping[str, Ranges]
    _weights: dict[tuple[str, Format, tuple[Node, ...], int | None], Matrices] = field(
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
            assert scheme.weight is not None  # noqa: S101 - it was checked
            with of_layer(call.layer):
                filters = filters_of(self.fake, call, scheme.weight, groups_of(site))
            return IntConv.of(site, filters, coder)
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
        fmt: Format = getattr(scheme, operand)
        static = self.ranges.get(call.layer, {}).get(operand) if fmt.calibrated else None
        return coder_of(fmt, static, f"the {operand} of layer '{call.layer}'")

    def _weight(self, call: Call, scheme: Scheme, cut: Cut | None) -> Matrices:
        fmt, block = scheme.weight, scheme.input.group_size if scheme.input else None
        assert fmt is not None  # noqa: S101 - it was checked
        key = call.layer, fmt, call.path, block
        if key not in self._weights:
            with of_layer(call.layer):
                self._weights[key] = matrices(self.fake, call, fmt, block, cut)
        return self._weights[key]
