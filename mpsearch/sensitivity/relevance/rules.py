"""The rules of products with a weight: epsilon, alpha-beta, and z-B for the first convolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from mpsearch.sensitivity.relevance.shares import Passed, divide, finite, vjp, z_rule
from mpsearch.sensitivity.relevance.step import Step

CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d", "convolution", "_convolution"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings of the propagation.

    *linear* is the rule of linear layers, convolutions and products with a weight: ``epsilon``
    or ``alpha_beta`` (Bach et al., 2015) with *alpha* and beta = alpha - 1. *epsilon* is relative
    to the root mean square of the output. *first* is the rule of a convolution that reads the
    model's input itself: ``box`` is z-B (Montavon et al., 2017) with the input's own limits.
    """

    linear: Literal["epsilon", "alpha_beta"] = "epsilon"
    alpha: float = 1.0
    epsilon: float = 1e-6
    first: Literal["box", "same"] = "box"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """A product of the activation at *place* with *weights* that are no activations.

    *biases* are the places of what is added to the product.
    """

    step: Step
    place: int
    weights: tuple[int, ...]
    biases: tuple[int, ...]

    def input_relevance(self, relevance: Tensor, rules: Rules) -> Passed:
        """Relevance of the activation.

        The epsilon rule counts the bias in the denominator, so that the bias keeps its share of
        the relevance; the two other rules leave the bias out and conserve.
        """
        step, place = self.step, self.place
        if (rules.first == "box" and step.name in CONVOLUTIONS and step.places[place] == 0
                and step.sources[place].op == "placeholder"):
            return {place: self._box(relevance)}
        if rules.linear == "alpha_beta" and len(self.weights) == 1:
            return {place: self._alpha_beta(relevance, rules.alpha)}
        if step.name == "linear" and step.places[place] == 0:  # the output is known already
            slope = divide(relevance, step.output, rules.epsilon)
            return {place: finite(step.values[place] * (slope @ step.values[self.weights[0]]))}
        return z_rule(step, [place], {0: relevance}, epsilon=rules.epsilon)

    def _alpha_beta(self, relevance: Tensor, alpha: float) -> Tensor:
        """Shares in what raises z times alpha, less shares in what lowers it times beta.

        What raises z are positive inputs times positive weights and negative times negative,
        with one denominator, for convolutions too. Where nothing raises z, or nothing lowers it,
        the other part gets all, so that relevance is conserved with any alpha.
        """
        x, w = self.step.values[self.place], self.step.values[self.weights[0]]
        halves, signs = (x.clamp(min=0), x.clamp(max=0)), (w.clamp(min=0), w.clamp(max=0))
        raises, lowers = partial(self._two, signs), partial(self._two, signs[::-1])
        up, down = raises(*halves), lowers(*halves)
        passed = torch.zeros_like(x)
        for part, factor, other in ((raises, alpha, down), (lowers, 1 - alpha, up)):
            here = (relevance * factor).where(other != 0, relevance)
            if bool(here.any()):
                passed += _by_shares(part, halves, here)
        return passed

    def _box(self, relevance: Tensor) -> Tensor:
        """Shares in x * W - L * W+ - H * W-: L and H are the least and largest x of a sample."""
        x, w = self.step.values[self.place], self.step.values[self.weights[0]]
        dims = tuple(range(1 - w.dim(), 0))
        low, high = x.amin(dims, keepdim=True), x.amax(dims, keepdim=True)

        def excess(inside: Tensor, least: Tensor, most: Tensor) -> Tensor:
            return (self._product(inside, w) - self._product(least, w.clamp(min=0))
                    - self._product(most, w.clamp(max=0)))

        return _by_shares(excess, (x, low.expand_as(x), high.expand_as(x)), relevance)

    def _two(self, weights: tuple[Tensor, Tensor], positive: Tensor, negative: Tensor) -> Tensor:
        return self._product(positive, weights[0]) + self._product(negative, weights[1])

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        made: Tensor = self.step.run({**self.step.without(*self.biases), self.place: x,
                                      self.weights[0]: weight})
        return made


def _by_shares(function: Callable[..., Tensor], inputs: Sequence[Tensor],
               relevance: Tensor) -> Tensor:
    """The z-rule for all *inputs* of a linear *function*, added up."""
    slopes = vjp(function, inputs, {0: relevance}, divide)
    return torch.stack([finite(x * slope) for x, slope in zip(inputs, slopes, strict=True)
                        if slope is not None]).sum(0)
