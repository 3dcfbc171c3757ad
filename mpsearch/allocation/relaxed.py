"""Differentiable choice: softmax over candidates, gradient descent, rounding; a baseline.

After LPGNAS (Zhao et al., "Learned Low Precision Graph Neural Networks", arXiv:2009.09232), which
learns a network's number formats as softmax weights under a penalty on size. Losses are given
here, so only the weights of the candidates are learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.heuristic import settled
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.reduced import Reduced
from mpsearch.allocation.selection import Selection

_NOISE = 0.01  # of the first logits; breaks ties
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-12  # Adam's constants
_LEAST = 1e-30  # expected loss, as a share of the largest, below which it is not divided by
_FIRST_PRICE = 0.1  # low, so that every group finds its best candidate before it has to save
_PRICE_RATE = 0.1  # by which a price grows where its limit is exceeded by its whole self


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """Softmax weights of the candidates, learned by *steps* of Adam at *rate*, then rounded.

    The objective is the logarithm of the expected loss, so that no scale matters, plus a price on
    each expected cost as a share of its limit; prices rise while their limit is exceeded and fall
    while it is not. The temperature falls from 1 to *coldest*, which drives the weights to one
    candidate a group. The heaviest is taken; where weights settle before the limits are met, which
    is common, `settled` goes the rest of the way. *seed* breaks ties.
    """

    steps: int = 400
    rate: float = 0.1
    coldest: float = 0.1
    seed: int = 0

    def __call__(self, problem: Problem) -> Selection:
        """The choice that the weights settle on, and a proven bound.

        Raises:
            Infeasible: no choice keeps to the limits; a `BelowFloor` where one limit is to blame.
        """
        reduced = Reduced.of(problem, "relaxed")
        core = reduced.core
        if not core.open or not len(core.room):
            return settled(reduced, core.least())
        positions = [0] * len(core.losses)
        for group, place in zip(core.open, self._learned(core), strict=True):
            positions[group] = int(place)
        return settled(reduced, core.choice(positions))

    def _learned(self, core: Core) -> NDArray[np.intp]:
        """The heaviest position of every open group."""
        losses, shares, absent = _tables(core)
        logits = np.random.default_rng(self.seed).normal(0, _NOISE, losses.shape)
        prices = np.full(len(shares), _FIRST_PRICE)
        mean, square = np.zeros_like(logits), np.zeros_like(logits)
        for step in range(1, self.steps + 1):
            heat = self.coldest ** ((step - 1) / max(1, self.steps - 1))
            weights = _softmax(np.where(absent, -np.inf, logits / heat))
            total = max(float((weights * losses).sum()), _LEAST)
            over = (shares * weights).sum(axis=(1, 2)) - 1
            # Price times cost and the derivative of log(loss) are in the same unit: none.
            slope = losses / total + np.tensordot(prices, shares, 1)
            slope = weights * (slope - (weights * slope).sum(axis=1, keepdims=True)) / heat
            prices *= np.exp(_PRICE_RATE * np.clip(over, -1, 1))
            mean = _FIRST * mean + (1 - _FIRST) * slope
            square = _SECOND * square + (1 - _SECOND) * slope**2
            size = np.sqrt(square / (1 - _SECOND**step)) + _TINY
            logits -= self.rate * mean / (1 - _FIRST**step) / size
        return np.asarray(np.where(absent, -np.inf, logits).argmax(axis=1))


def _tables(core: Core) -> tuple[Floats, Floats, Mask]:
    """Losses (groups by candidates), costs as shares of the room (metrics first), and the gaps."""
    sizes = [core.losses[group].size for group in core.open]
    width = max(sizes)
    absent = np.arange(width) >= np.array(sizes)[:, None]
    losses = np.zeros(absent.shape)
    shares = np.zeros((len(core.room), *absent.shape))
    room = np.maximum(1.0, np.abs(core.room[:, 0]))
    for row, group in enumerate(core.open):
        losses[row, :sizes[row]] = core.losses[group]
        shares[:, row, :sizes[row]] = (core.costs[group][..., 0] / room).T
    return losses / (losses.max() or 1.0), shares, absent


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
