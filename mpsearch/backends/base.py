"""What a backend is: a policy's schemes and a captured model in, a runnable module out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import nn

from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program


class Backend(Protocol):
    """Makes a model that runs under the given schemes."""

    def __call__(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
                 ranges: Mapping[str, Mapping[str, StaticRange]]) -> nn.Module:
        """The quantized model; *ranges* holds each layer's static activation ranges.

        Raises:
            Unsupported: a scheme that this backend cannot run, with the layer and the reason.
        """
        ...
