"""Which groups decide: how much of the spread of measured losses each one's decision makes."""

from __future__ import annotations

import numpy as np

from mpsearch.nas.landscape import Choice, Integers, Landscape
from mpsearch.nas.moves import around
from mpsearch.nas.residual import fitted


def shares(landscape: Landscape, choices: Integers, losses: np.ndarray, best: Choice,
           *, seed: int = 0) -> dict[str, float]:
    """The share of each group, largest first; together they are 1, and one may be below 0.

    Scores are corrected by what was measured. Their totals are taken at thousands of choices near
    *best* within the limits, and the variance of the total is split into its covariances with the
    part of every group. Only the better half counts: a choice that nobody would take, such as to
    leave out what all else needs, would make up all of the spread.
    """
    positive = np.maximum(losses, losses[losses > 0].min() if (losses > 0).any() else 1.0)
    table = fitted(landscape, choices, np.log(positive))
    scores = table.corrected(table.mean)
    near = around(landscape, best, np.random.default_rng(seed))
    parts = scores[np.arange(len(scores)), near]
    total = parts.sum(1)
    parts, total = (each[total <= np.median(total)] for each in (parts, total))
    spread = float(total.var())
    if not spread:
        return {}
    apart = (parts - parts.mean(0)) * (total - total.mean())[:, None]
    found = dict(zip(landscape.problem.groups, (apart.mean(0) / spread).tolist(), strict=True))
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))
