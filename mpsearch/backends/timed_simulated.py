"""The simulated backend, offered for timing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from mpsearch.backends.simulated import Simulated
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.core.version import version_of
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.sites import Call


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

    def runs(self, call: Call, scheme: Scheme) -> Scheme:
        """What it does to activations: weights are dequantized before the model runs."""
        del call
        return Scheme(input=scheme.input, other=scheme.other)

    def module(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
               ranges: Mapping[str, Mapping[str, StaticRange]]) -> nn.Module:
        """The model as the backend runs it."""
        return Simulated()(program, fake, schemes, ranges)
