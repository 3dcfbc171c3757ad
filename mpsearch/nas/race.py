"""When to stop measuring a choice: it is behind the best one on the same samples beyond noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mpsearch.nas.record import Record, records

_DOUBLING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rungs:
    """Numbers of samples after which a trial is judged: *first*, and doubled until *last*."""

    first: int
    last: int

    def reached(self, before: int, now: int) -> bool:
        """Whether a rung lies after *before* and not after *now*, and something is left."""
        rung = self.first
        while rung <= before:
            rung *= _DOUBLING
        return rung <= now < self.last


class Race(BasePruner):
    """Ends a trial whose loss is above that of the best one, pair by pair, by a sequential test.

    At each rung the mean difference on the samples that both have seen is compared with its
    standard error. A trial may be looked at *looks* times, and the chance that one as good as the
    best is ended at any of them is at most *level* (Bonferroni over looks, one-sided).
    """

    def __init__(self, *, level: float = 0.02, looks: int = 4) -> None:
        from scipy.special import ndtri

        self._bound = float(-ndtri(level / max(looks, 1)))

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether *trial* is hopeless by what its attributes say so far."""
        own = records([trial])
        if not own or not own[0].samples:
            return False
        best = best_of(records(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))))
        return best is not None and self.behind(own[0].samples, best.samples)

    def behind(self, samples: Sequence[float], best: Sequence[float]) -> bool:
        """Whether *samples* lose more than the first of *best* beyond noise."""
        count = min(len(samples), len(best))
        apart = np.asarray(samples[:count]) - np.asarray(best[:count])
        if count < 2:  # noqa: PLR2004 - one difference has no spread
            return False
        error = float(apart.std(ddof=1)) / math.sqrt(count)
        return float(apart.mean()) > self._bound * error


def best_of(found: Sequence[Record]) -> Record | None:
    """The complete one of least loss, of equals the first; None if there is none."""
    complete = [each for each in found if each.complete and each.samples]
    return min(complete, key=lambda each: (each.loss, each.ticket), default=None)
