"""What is known when a trial asks for a choice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mpsearch.nas.landscape import Choice, Floats, Integers, Landscape
from mpsearch.nas.moves import start_of
from mpsearch.nas.residual import Residual, fitted

_REACH = 1.5
"""So far from the incumbent's log loss, a measurement tells about it."""
_FEWEST = 24
"""So many measurements tell in any case."""


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """*choices* [N, groups] that were measured, their *losses*, and all that are *taken*.

    *rng* is one of this trial alone: the same trial in the same state proposes the same choice.
    *landscape* has this trial's limits, which a front draws anew; *whole* has those of the search.
    """

    landscape: Landscape
    whole: Landscape
    choices: Integers
    losses: Floats
    taken: frozenset[Choice]
    rng: np.random.Generator

    @cached_property
    def logs(self) -> Floats:
        """Logarithms of the losses; what is not above zero counts as the smallest that is."""
        positive = self.losses[self.losses > 0]
        return np.log(np.maximum(self.losses, positive.min() if positive.size else 1.0))

    @cached_property
    def residual(self) -> Residual:
        """The table of scores as measurements correct it."""
        return fitted(self.landscape, *self.telling)

    @cached_property
    def telling(self) -> tuple[Integers, Floats]:
        """The choices whose losses are like the incumbent's, and the logarithms of their losses.

        A ruined network saturates: what it lost says little of good ones.
        """
        centre = self.logs.min() if self.incumbent is None else self.logs[
            np.flatnonzero((self.choices == self.incumbent).all(1))].min()
        away = np.abs(self.logs - centre)
        reach = max(_REACH, float(np.sort(away)[:_FEWEST].max()))
        return self.choices[away <= reach], self.logs[away <= reach]

    @cached_property
    def incumbent(self) -> Choice | None:
        """The best measured choice within the limits."""
        if not len(self.choices):
            return None
        return start_of(self.landscape, self.choices, self.losses)
