"""Choices at the cheap end of a front that all lose the same: there is nothing to gain among them.

Where whole branches may be skipped, much of the range of costs belongs to networks that know
nothing any more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpsearch.nas.landscape import Floats, Integers, Landscape, totals

_SHARE = 0.9
"""A choice that loses this share of what the cheapest one does is no better than that."""
_FEWEST = 2


def lost(landscape: Landscape, choices: Integers, losses: Floats) -> NDArray[np.bool_]:
    """Which of *choices* [N, groups] are up to where the loss begins to fall.

    By cost, every choice before the first that loses clearly less than the cheapest one. None
    where that is the cheapest alone, or where there are several costs to go by.
    """
    none = np.zeros(len(choices), dtype=bool)
    if len(landscape.costs) != 1 or not len(choices):
        return none
    spent = totals(landscape.costs[0], choices)
    cheapest = losses[np.lexsort((losses, spent))[0]]
    better = losses < _SHARE * cheapest
    found: NDArray[np.bool_] = spent < spent[better].min(initial=np.inf)
    return found if better.any() and found.sum() >= _FEWEST else none


def cheapest_worth(landscape: Landscape, choices: Integers, gone: NDArray[np.bool_]) -> float:
    """The cost from which on choices are worth a trial: that of the dearest one that is *gone*."""
    if not gone.any():
        return landscape.problem.floor(0)
    return float(totals(landscape.costs[0], choices)[gone].max())
