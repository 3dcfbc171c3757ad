"""Is the best of many trials better than the start, or did the noise of the samples pick it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpsearch.nas.landscape import Floats

_LEVEL = 0.05
_DRAWS = 2000
_AT_ONCE = 250
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The *difference* of one trial's loss and the start's, from *low* to *high*.

    In 95 % of studies the intervals of all *trials* hold what they are about at once.
    """

    difference: float
    low: float
    high: float
    trials: int


def band(best: Sequence[float], start: Sequence[float],
         others: Sequence[Sequence[float]]) -> Band:
    """The band of *best* among itself and *others*, all of which might have been picked.

    Losses are of the same samples in the same order. One that ended early counts by the samples it
    has. The start itself, or what is equal to it everywhere, is no candidate. Differences are
    divided by their standard errors. The largest of them in 2000 worlds where nothing is better
    says how far the noise of the samples alone would carry one: samples get random normal weights,
    the same ones for all trials, which keeps their correlations (Chernozhukov, Chetverikov and
    Kato, Annals of Statistics 41, 2013, after White, Econometrica 68, 2000). That is read on
    Student's scale, as there may be few samples.

    Trials learned from the same samples which choice to try next, which no such test accounts for
    exactly. Samples that no trial saw do.
    """
    from scipy.special import ndtr, stdtrit

    base = np.asarray(start, dtype=np.float64)
    own = np.asarray(best, dtype=np.float64) - base
    difference, count = float(own.mean()), own.size
    apart = [np.asarray(each, dtype=np.float64) - base[:len(each)] for each in (best, *others)]
    table = _standard([each for each in apart if each.size > 1 and each.std() > 0], count)
    error = float(own.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    if not error:  # the start itself, or a single sample: nothing can be told apart
        return Band(difference=difference, low=min(difference, 0.0), high=max(difference, 0.0),
                    trials=table.shape[1])
    bound = float(stdtrit(count - 1, ndtr(_largest(table))))
    return Band(difference=difference, low=difference - bound * error,
                high=difference + bound * error, trials=table.shape[1])


def _standard(apart: Sequence[Floats], count: int) -> Floats:
    """Centred differences [count, trials], so scaled that a sum with normal weights is normal.

    Those that a trial does not have are zero.
    """
    table = np.zeros((count, len(apart)))
    for column, each in zip(table.T, apart, strict=True):
        centred = each - each.mean()
        column[:each.size] = centred / math.sqrt(float(centred @ centred))
    return table


def _largest(table: Floats) -> float:
    """What the largest deviation of all trials stays below in 95 % of the draws."""
    rng = np.random.default_rng(_SEED)
    found = [np.abs(rng.standard_normal((_AT_ONCE, len(table))) @ table).max(1)
             for _ in range(_DRAWS // _AT_ONCE)]
    return float(np.quantile(np.concatenate(found), 1 - _LEVEL))
