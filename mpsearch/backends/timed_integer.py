"""The integer backend, offered for timing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from mpsearch.backends.integer.backend import Integer
from mpsearch.backends.integer.rules import in_integers
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.core.version import version_of
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.sites import Call
from mpsearch.kernels import kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerTimes:
    """Packed weights times integer activations; what the backend leaves in float, in float."""

    @property
    def fusions(self) -> tuple[str, ...]:
        """None that a table must know of: what runs together is timed together."""
        return ()

    @property
    def packed(self) -> bool:
        """Yes: weights are read at the width of their codes."""
        return True

    def versions(self) -> Mapping[str, str]:
        """Those of the tensor library and of the kernels, with their instruction set."""
        own = kernels()
        return {**{name: version_of(name) for name in ("mpsearch", "torch")},
                "kernels": f"{own.path} {own.file.stem}" if own else "torch"}

    def runs(self, call: Call, scheme: Scheme) -> Scheme:
        """The scheme itself where it runs in integers, else float: decoded weights are that.

        Raises:
            Unsupported: codes that no kernel multiplies.
        """
        return scheme if in_integers(call, scheme) else Scheme()

    def module(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
               ranges: Mapping[str, Mapping[str, StaticRange]]) -> nn.Module:
        """The model as the backend runs it.

        Raises:
            Unsupported: an operation, or a weight, of a form without a kernel.
        """
        return Integer()(program, fake, schemes, ranges)
