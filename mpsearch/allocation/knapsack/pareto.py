"""Exact completion: a dynamic program over the groups that the relaxation leaves undecided.

States are choices of the groups so far, the others being as in the reference; all of those that
no other matches in loss and cost are kept, unless the relaxation of the remaining groups shows
that they cannot lead below the best known loss. Groups come in order of how near the slopes to
either side of their reference are to the price (Pisinger, "A minimal algorithm for the
multiple-choice knapsack problem", European Journal of Operational Research 83, 1995). Losses are
those above each group's least and only ever added, so that small ones keep their precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mpsearch.allocation.knapsack.choose import walks
from mpsearch.allocation.knapsack.curve import Slopes
from mpsearch.allocation.knapsack.plain import Floats, Indices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Items:
    """Schemes of the undecided groups, those to complete first in front.

    Padded tables (groups, schemes): *losses* above the group's least and costs as limbs above the
    reference, of which *sizes* a group count, and *schemes*, their index in the full table. *over*
    is how far the reference is above the limit, *rest* (groups + 1) what the groups from here on
    and all others lose in the reference, *slopes* bound what they lose elsewhere. *unit* is the
    cost that the first limb counts in.
    """

    losses: Floats
    high: Indices
    low: Indices
    sizes: Indices
    schemes: Indices
    over: tuple[int, int]
    rest: Floats
    slopes: Slopes
    unit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The least loss found and its schemes, group by group as far as they were looked at.

    No choice with a loss below *best* was given up, unless its loss is at least *bound*.
    *schemes* is None if nothing below the known loss was found.
    """

    best: float
    schemes: Indices | None
    bound: float


def complete(items: Items, best: float, margin: float, width: int, kernels: ModuleType) -> Found:
    """Look for choices of loss below *best*, with up to *width* states at a time.

    What is not lower than *best* by a share of *margin* may be missed.
    """
    if not items.sizes.size:
        return Found(best=best, schemes=None, bound=math.inf)
    moves = items.losses, items.high, items.low, items.sizes
    found, bound, places = walks(kernels).walk(
        moves, items.rest, (*items.slopes.take, *items.slopes.give),
        (*items.over, items.unit, best, margin), width)
    schemes = items.schemes[np.arange(places.size), places] if places.size else None
    return Found(best=found, schemes=schemes, bound=bound)
