"""What a replay estimator sees of one layer under one scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mpsearch.graph.samples import SampleAxis, per_sample


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one run of a layer left behind, the same for all schemes.

    ``z`` is the layer's output and ``g`` the gradient of ``-log p(y)`` there, with a label y drawn
    from the model's own softmax; ``squares[m]`` the mean of ``g²`` over m draws, for the numbers
    of draws that were asked for; ``relevance`` that of layer-wise relevance propagation, None
    unless asked for. All are of the output's shape. *axis* is where the samples lie, None if they
    share the output; *tokens* weights each element by the group of its token, None for no weights.
    """

    z: Tensor
    g: Tensor
    squares: Mapping[int, Tensor]
    relevance: Tensor | None
    axis: SampleAxis | None
    samples: int
    tokens: Tensor | None = None
    _made: dict[str, Tensor] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """What *make* gives, made for the first scheme and kept for the others."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def dot(self, a: Tensor, b: Tensor) -> Tensor:
        """``Σ a·b`` over everything but the samples: [samples]."""
        if self.tokens is not None:
            a = a * self.tokens
        if self.axis is None:
            return per_sample(a * b, None, self.samples)
        left, right = (self.axis.split(each, self.samples) for each in (a, b))
        return torch.bmm(left.unsqueeze(1), right.unsqueeze(2)).view(-1)


@dataclass(frozen=True, kw_only=True)  # no slots: the squares are shared by the estimators
class Replayed:
    """The change ``dz`` that one scheme makes to a layer's output, and what was *seen* there."""

    seen: Seen
    dz: Tensor

    @cached_property
    def squared(self) -> Tensor:
        """``dz²``, element by element."""
        return self.dz * self.dz

    @cached_property
    def slope(self) -> Tensor:
        """``⟨g, dz⟩``, a sample."""
        return self.seen.dot(self.seen.g, self.dz)

    @cached_property
    def error(self) -> Tensor:
        """``Σ dz²``, a sample."""
        return self.seen.dot(self.dz, self.dz)

    def weighted(self, name: str, weights: Callable[[], Tensor]) -> Tensor:
        """``Σ w·dz²``, a sample; the weights are made once and kept under *name*."""
        return self.seen.dot(self.seen.once(name, weights), self.squared)
