"""From a policy to a model whose products run in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.fx import Node

from mpsearch.backends.integer.codes import Coder
from mpsearch.backends.integer.conv import IntConv, groups_of
from mpsearch.backends.integer.linear import IntLinear
from mpsearch.backends.integer.matmul import Added, IntMatmul
from mpsearch.backends.integer.rules import in_integers, whole
from mpsearch.backends.integer.site import IntegerSite, Run
from mpsearch.backends.integer.weights import packed_filters, packed_weight
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.operations import Change
from mpsearch.graph.sites import Call, Site
from mpsearch.kernels import PackedFilters, PackedWeight

Ranges = Mapping[str, StaticRange]


class IntegerModule(nn.Module):
    """A captured model whose layers run in integers where *sites* say so.

    *decoded* are stored weights that are multiplied in float, after a round trip through their
    format. Takes the model's inputs, any batch size, and returns its first floating-point output.
    """

    def __init__(self, program: Program, sites: list[IntegerSite],
                 decoded: Mapping[Node, Tensor]) -> None:
        super().__init__()
        self._program = Program(program.traced, sites)
        self._decoded = dict(decoded)
        self._changes: dict[str, dict[str, Change]] = {call.layer: {} for site in sites
                         for call, run in zip(site.calls, site.runs, strict=True) if run}

    @property
    def in_integers(self) -> tuple[str, ...]:
        """The layers whose products are sums of integers."""
        return tuple(self._changes)

    def forward(self, *args: Tensor) -> Tensor:
        """The output under the policy."""
        return self._program.run(args, self._changes, stored=self._decoded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """Packed weights of 2 to 8 bits times activations of up to 8, in exact integer sums.

    A layer runs so where its weight and its inputs are integers, or both its inputs if it is a
    product of activations. Where inputs stay in float, so does the layer, on its weight decoded
    once.
    """

    def __call__(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
                 ranges: Mapping[str, Ranges]) -> IntegerModule:
        """The model under *schemes*.

        Raises:
            Unsupported: inputs in codes that no kernel multiplies, with the layer and the nearest
                format there is one for.
        """
        made = _Sites(program=program, fake=fake, ranges=ranges, weights={})
        sites = []
        decoded: dict[Node, Tensor] = {}
        for site in program.sites.values():
            runs: list[Run | None] = []
            for call in site.calls:
                own = schemes.get(call.layer, Scheme()).for_kind(call.operation.kind)
                runs.append(made.run(site, call, own) if in_integers(call, own) else None)
                if runs[-1] is None and own.weight is not None:
                    node, tensor = fake.weights.fake_as_stored(call.layer, own.weight)
                    decoded[node] = tensor
            sites.append(IntegerSite(node=site.node, calls=site.calls, runs=tuple(runs)))
        return IntegerModule(program, sites, decoded)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sites:
    program: Program
    fake: FakeQuantizer
    ranges: Mapping[str, Ranges]
    weights: dict[tuple[str, IntFormat, tuple[Node, ...]], PackedWeight]

    def run(self, site: Site, call: Call, scheme: Scheme) -> Run:
        """What runs instead of *call*, whose *scheme* has integers only."""
        left = self._coder(call, "input", scheme)
        if call.parameter is None:
            product = IntMatmul(left=left, right=self._coder(call, "other", scheme))
            return product if len(site.calls) > 1 else Added.of(site, product)
        if call.operation.kind == "conv":
            return IntConv.of(site, self._filters(site, call, scheme), left)
        return IntLinear.of(site, self._weight(call, scheme), left)

    def _coder(self, call: Call, operand: str, scheme: Scheme) -> Coder:
        fmt = getattr(scheme, operand)
        assert whole(fmt)  # noqa: S101 - it was checked
        static = self.ranges.get(call.layer, {}).get(operand) if fmt.calibrated else None
        return Coder(fmt=fmt, static=static, where=f"the {operand} of layer '{call.layer}'")

    def _weight(self, call: Call, scheme: Scheme) -> PackedWeight:
        assert whole(scheme.weight)  # noqa: S101 - it was checked
        assert call.parameter is not None  # noqa: S101 - it has a weight
        key = call.layer, scheme.weight, call.path
        if key not in self.weights:
            self.weights[key] = packed_weight(
                self.fake, self.program.parameters[call.parameter], call, scheme.weight)
        return self.weights[key]

    def _filters(self, site: Site, call: Call, scheme: Scheme) -> PackedFilters:
        assert whole(scheme.weight)  # noqa: S101 - it was checked
        return packed_filters(self.fake, call, scheme.weight, groups_of(site))
