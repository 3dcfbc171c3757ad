"""Instances of the multiple-choice knapsack: like networks, and hard in several ways."""

from __future__ import annotations

import math

import numpy as np

KINDS = {
    "layers": "sizes a multiple of 1024, losses fourfold a bit less over 4 decades",
    "fractions": "the same with costs of 53 random bits",
    "heavy": "sizes log-normal with sigma 2.5: one layer may hold a fifth of the network",
    "strong": "loss = constant - cost + a fixed charge a step (strongly correlated)",
    "equal": "loss = constant - cost (all slopes equal)",
}


def instance(kind, groups, schemes, budgets, seed):
    """Losses (groups, schemes), costs (budgets, groups, schemes), limits at 40 % (45 %)."""
    draw = np.random.default_rng(seed)
    bits = np.array([2, 3, 4, 5, 6, 8.0]) if schemes == 6 else 2 + 0.25 * np.arange(schemes)
    height = 10.0 ** draw.uniform(-4, 0, groups)[:, None]
    losses = height * 4.0**-bits * np.exp(draw.normal(0, 0.3, (groups, schemes)))
    costs = draw.integers(1, 64, groups)[:, None] * 1024.0 * bits
    rising = np.sort(draw.integers(1, 10_000, (groups, schemes)), axis=1).astype(float)
    if kind == "heavy":
        sizes = np.rint(np.exp(draw.normal(10, 2.5, groups)))[:, None] + 1
        losses, costs = losses * sizes, np.rint(sizes * bits)
    elif kind == "strong":
        costs, losses = rising, rising[:, -1:] - rising + 10.0 * np.arange(schemes)[::-1]
    elif kind == "equal":
        costs, losses = rising, 10_000 - rising
    elif kind == "fractions":
        costs = costs * np.exp(draw.normal(0, 0.05, costs.shape))
    tables = [costs]
    if budgets == 2:  # a latency: other sizes, an offset of its own for each scheme
        sizes = draw.integers(1, 64, groups)[:, None] * 1000.0
        tables.append(np.rint(sizes * (bits + draw.uniform(0, 2, costs.shape))))
    costs = np.stack(tables)
    low, high = costs.min(axis=2).sum(axis=1), costs.max(axis=2).sum(axis=1)
    share = np.array([0.4, 0.45])[:budgets]
    return losses, costs, [math.floor(value) for value in low + share * (high - low)]
