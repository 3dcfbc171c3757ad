"""Relevance-weighted noise: layer-wise relevance propagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:  # an estimator's settings must be readable without torch
    from torch import Tensor

    from mpsearch.sensitivity.relevance.rules import Rules
    from mpsearch.sensitivity.replayed import Replayed, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Lrp:
    """``Σ|R| · Σ |R| dz² / Σ |R| z²``: noise over signal where relevance is, times the relevance.

    *R* is the relevance of the layer's output for the model's own top class, from layer-wise
    relevance propagation (Bach et al., 2015; Chefer et al., 2021, for attention; LRP-QViT, Ranjan
    & Savakis, 2024, for the use). Relevance is conserved from layer to layer, so that its signed
    sum is the same for layers in series; what tells layers apart is how residual branches share
    it, and ``Σ|R|``, which this takes as the layer's share. How LRP-QViT makes bits of its scores
    is not published; this product is the reading that an additive allocator can use.

    An output that does not depend on the model's inputs (the embedding of constant positions) gets
    no relevance by the rules: there ``|g·z|`` takes its place, the gradient being that of
    `fisher`.

    *rule* is that of linear layers and convolutions: ``epsilon``, or ``alpha_beta`` with *alpha*.
    The first convolution has the box rule (Montavon et al., 2017).
    """

    engine: ClassVar[str] = "replay"
    unit: ClassVar[str] = "relevance"
    rides_along: ClassVar[bool] = False
    draws: ClassVar[int] = 0
    rule: Literal["epsilon", "alpha_beta"] = "epsilon"
    alpha: float = 1.0

    @property
    def rules(self) -> Rules:
        """How relevance is propagated."""
        from mpsearch.sensitivity.relevance.rules import Rules

        return Rules(linear=self.rule, alpha=self.alpha)

    def score(self, replayed: Replayed) -> Tensor:
        """The product of one layer, a sample."""
        seen = replayed.seen
        share = seen.once("relevance", lambda: _size(seen))
        whole = seen.once("relevance sum", lambda: seen.dot(share, share.sign()))
        signal = seen.once("relevant signal", lambda: seen.dot(share, seen.z * seen.z).clamp(
            min=1e-30))
        return whole * replayed.weighted("relevance", lambda: share) / signal

    def finish(self, contributions: Tensor) -> Tensor:
        """The sum over layers, as it is."""
        return contributions


def _size(seen: Seen) -> Tensor:
    """``|R|``, or ``|g·z|`` where relevance does not get."""
    relevance = seen.relevance
    if relevance is None or not bool(relevance.any()):
        return (seen.g * seen.z).abs()
    return relevance.float().abs()
