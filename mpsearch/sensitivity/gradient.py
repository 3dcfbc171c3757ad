"""First-order change of the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.replayed import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient:
    """``E|⟨g, dz⟩|``: the first-order change of the loss, in absolute value for each sample.

    *g* is the gradient of ``-log p(y)`` at the layer's output, with *y* drawn from the model's own
    softmax. Signed changes cancel at a minimum, hence the absolute value, a sample (Molchanov et
    al., 2017, for pruning). It grows with the error where the true loss grows with its square.
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = True
    draws: ClassVar[int] = 0
    rules: ClassVar[None] = None

    def score(self, replayed: Replayed) -> Tensor:
        """``⟨g, dz⟩`` of one layer, a sample."""
        return replayed.slope

    def finish(self, contributions: Tensor) -> Tensor:
        """The absolute value of the group's sum."""
        return contributions.abs()
