"""The float model, offered for timing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from mpsearch.backends.simulated import SimulatedModule
from mpsearch.core.errors import Unsupported
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.core.version import version_of
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.sites import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatTimes:
    """Every operation as the captured model runs it, nothing quantized."""

    @property
    def fusions(self) -> tuple[str, ...]:
        """None: each operation of the graph runs alone."""
        return ()

    @property
    def packed(self) -> bool:
        """No: weights are read in float."""
        return False

    def versions(self) -> Mapping[str, str]:
        """The tensor library's, and that of what runs the graph."""
        return {name: version_of(name) for name in ("mpsearch", "torch")}

    def runs(self, call: Call, scheme: Scheme) -> Scheme:
        """Float.

        Raises:
            Unsupported: a scheme that quantizes something.
        """
        del call
        if not scheme.is_float:
            raise Unsupported(f"the float model runs nothing at {scheme}")
        return scheme

    def module(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
               ranges: Mapping[str, Mapping[str, StaticRange]]) -> nn.Module:
        """The captured model."""
        del fake, schemes, ranges
        return SimulatedModule(program, {}, {})
