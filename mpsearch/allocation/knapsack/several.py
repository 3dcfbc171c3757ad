"""Two or three budgets: the search around the relaxation, and what is left open where it stops."""

from __future__ import annotations

from functools import partial

import numpy as np

from mpsearch.allocation.knapsack.branching import Search, Searched
from mpsearch.allocation.knapsack.choose import loops
from mpsearch.allocation.knapsack.remainder import Remainder
from mpsearch.allocation.knapsack.space import Space
from mpsearch.allocation.knapsack.table import Table

_ROOM = 1 << 16  # combinations of half the groups at a time
_EFFORT = 1e8  # pairs and combinations in all
_quiet = partial(np.errstate, over="ignore", invalid="ignore", divide="ignore")


def searched(table: Table, share: float = 1.0) -> Searched:
    """The best choice within the limits of *table* and its bound, both in its scaled unit.

    There may be none, and a gap may be left: the effort is limited, to a *share* of the usual.
    """
    with _quiet():
        return Search(Space.of(table), _ROOM, _EFFORT * share, loops(table.losses.size)).run()


def left(table: Table, found: Searched) -> Remainder:
    """The groups and schemes in which a choice better than the one *found* can differ from it."""
    with _quiet():
        mask = found.root.open(found.root.worse(), found.excess)
    groups = np.flatnonzero(mask.sum(axis=1) > 1)
    return Remainder.of(table, found.root.pick, groups, mask[groups])
