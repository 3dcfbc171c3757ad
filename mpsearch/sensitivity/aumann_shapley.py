"""Each layer's share in what quantizing all of them together loses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mpsearch.core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class AumannShapley:
    """``∫₀¹ ∂L/∂t_l dt`` on the way from the float to the quantized model, in nats.

    Every quantized operand is ``v + t_l (Q(v) - v)``, all ``t_l`` go from 0 to 1 together, and L is
    KL(float || model on the way), a mean over samples. The integral is the price that Aumann and
    Shapley (1974) give each player of a game; for inputs instead of layers it is known as
    integrated gradients (Sundararajan et al., 2017). It is taken by Gauss-Legendre quadrature with
    *steps* nodes, one backward pass each.

    The groups go along a menu level together: of J levels, J the length of the longest menu, level
    j takes of n schemes number ``round(j (n-1)/(J-1))``, so menus should be in the same order, by
    bits say. A scheme met at several levels gets the mean.

    For weights the shares of a level add up to the divergence of the model with all groups at that
    level (completeness), so that interactions are counted, half to each side: where errors cancel,
    a share can be negative. It is earned in company of the others at the same level, which a mixed
    policy may not choose, so it counts as zero and does not reward quantizing; the total is then
    more than the divergence. For activations Q(v) - v is taken as constant (straight-through), for
    the derivative of Q is zero almost everywhere, and completeness holds roughly.
    """

    engine: ClassVar[str] = "path"
    unit: ClassVar[str] = "nats"
    rides_along: ClassVar[bool] = False
    steps: int = 4

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise BadInput(f"aumann_shapley needs at least one step, not {self.steps}")

    def level(self, level: int, levels: int, schemes: int) -> int:
        """Number of the scheme that a group with so many *schemes* takes at *level*."""
        return round(level * (schemes - 1) / (levels - 1)) if levels > 1 else 0

    def score(self, shares: Sequence[float]) -> float:
        """The score of a scheme from its shares at all levels where it is met."""
        return max(0.0, math.fsum(shares) / len(shares))
