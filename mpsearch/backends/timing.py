"""How a backend offers what it can run for timing: the protocol of a provider.

A provider is a plug-in of the kind ``provider``: a frozen dataclass with `Provider`'s members.
`mpsearch profile` asks it which schemes run the same code, has it make the model under a few
policies that cover the rest, and reads what every operation takes while they run. What it cannot
run it refuses, and no time is noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import nn

from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.sites import Call


class Provider(Protocol):
    """Runs a model for timing. *fusions* are as `MachineTable` has them."""

    @property
    def fusions(self) -> tuple[str, ...]:
        """Operations that the provider runs together."""
        ...

    @property
    def packed(self) -> bool:
        """Whether weights are read at the width of their scheme, not in float."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Libraries whose versions decide the times."""
        ...

    def runs(self, call: Call, scheme: Scheme) -> Scheme:
        """The plainest scheme that takes *call* as long as *scheme* does, because it runs the same.

        Schemes of a layer with the same answer are timed once.

        Raises:
            Unsupported: it cannot be run.
        """
        ...

    def module(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
               ranges: Mapping[str, Mapping[str, StaticRange]]) -> nn.Module:
        """The model under *schemes*, which are answers of `runs`; layers left out are in float.

        Whatever runs its operations tells `mpsearch.graph.laps` when each is done, as `Program`
        does.

        Raises:
            Unsupported: a layer cannot be run; the message begins with ``layer 'name'``.
        """
        ...
