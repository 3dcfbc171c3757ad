"""What a replay estimator sees of one layer under one scheme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from mpsearch.graph.samples import SampleAxis, per_sample


@dataclass(frozen=True, kw_only=True)  # no slots: products are shared by the estimators
class Replayed:
    """One layer's output ``z``, its change ``dz``, and what the backward passes know of it.

    All are of the output's shape. ``g`` is the gradient of ``-log p(y)`` at the output with a
    label y drawn from the model's own softmax; ``squares[m]`` the mean of ``g²`` over m draws, for
    the numbers of draws that were asked for; ``relevance`` that of layer-wise relevance
    propagation, None unless asked for. *axis* is where the samples lie, None if they share the
    output; *tokens* weights each element by the group of its token, None for no weights.
    """

    z: Tensor
    dz: Tensor
    g: Tensor
    squares: Mapping[int, Tensor]
    relevance: Tensor | None
    axis: SampleAxis | None
    samples: int
    tokens: Tensor | None = None

    @cached_property
    def product(self) -> Tensor:
        """``g·dz``, element by element."""
        return self.g * self.dz

    @cached_property
    def error(self) -> Tensor:
        """``Σ dz²``, a sample."""
        return self.sum(self.dz.square())

    def sum(self, values: Tensor) -> Tensor:
        """*values* (of the output's shape) summed over everything but samples: [samples]."""
        if self.tokens is not None:
            values = values * self.tokens
        return per_sample(values, self.axis, self.samples)
