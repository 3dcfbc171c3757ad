"""Two or three budgets: looks around the relaxation, and branches where that is too far away.

The parts of the problem wait in a queue by what is proven of them. The first either gets a look at
more of the choices near its relaxation, or is split in two by the schemes of one group: that helps
where a group's schemes cost so much that the relaxation's mixture of two of them misleads.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from mpsearch.allocation.fixed import Mask
from mpsearch.allocation.knapsack.nearby import Nearby
from mpsearch.allocation.knapsack.plain import Floats, Indices
from mpsearch.allocation.knapsack.prices import Priced, priced
from mpsearch.allocation.knapsack.space import Space

_LEVELS = (24, 40, 64, 80, 100, 125, 150, 180, 220, 280)  # deviations to look at, time after time
_ALMOST = 1.2  # times a level: open deviations that are looked at at once
_TRIED, _FEW = 1, 500  # the level after which a split is tried, and open deviations that need none
_PAIRS = 1 << 22  # of combinations to look at before a part is split instead
_ROUNDING = 1e-13  # share of a loss, and of that of a part's best choice, that may be lost in sums
_SURE = 1e-10  # share of a loss that is not worth another look
_MIXED = 1e-10  # share of the bound up to which two schemes are as good as each other
_CLOSE = 1e-11  # share of the bound that may be missed of a part's
_PRICED = 10  # times a part's candidates are looked at to price it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A part of the choices: none of them loses less than *low*; *level* looks were taken."""

    priced: Priced
    low: float
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """The best choice of all groups (None if none was found) and its *excess*; what is proven.

    No choice has a loss below *low*; *root* is the relaxation of all.
    """

    pick: Indices | None
    excess: float
    low: float
    root: Priced


class Search:
    """A search through the choices of one space, with an *effort* to spend on it."""

    def __init__(self, space: Space, room: int, effort: float, loops: ModuleType) -> None:
        """Nothing is known yet; *room* is for combinations of half the groups."""
        self.loops, self.room, self.left = loops, room, effort
        self.root = priced(space)
        self.most = (space.value + space.most) * (1 + _SURE)
        self.pick: Indices | None = None
        self.excess = self.closed = math.inf  # what parts that are done with may lose
        self.count = 0
        self.queue: list[tuple[float, int, Part]] = []
        self._push(Part(priced=self.root, low=max(0.0, self.root.low)))

    def run(self) -> Searched:
        """Search until the best choice is proven or the effort is spent."""
        while self.queue and self.left > 0 and self.queue[0][0] < min(self._enough, self.closed):
            self._advance(heapq.heappop(self.queue)[2])
        low = min(self.queue[0][0] if self.queue else math.inf, self.closed, self.excess)
        return Searched(pick=self.pick, excess=self.excess, low=low, root=self.root)

    @property
    def _enough(self) -> float:
        return self.excess * (1 - _SURE)

    def _push(self, part: Part) -> None:
        if part.low > self.most:
            return  # no choice loses as much: none of the part keeps to the limits
        self.count += 1
        heapq.heappush(self.queue, (part.low, self.count, part))

    def _close(self, part: Part) -> None:
        self.closed = min(self.closed, part.low)

    def _advance(self, part: Part) -> None:
        """A look at more of the choices of *part*, and its halves or what is left of it."""
        worse = part.priced.worse()
        self.left -= worse.size
        while True:
            nearby = Nearby.of(part.priced, worse, self.excess - part.priced.low)
            part, done = self._looked(part, nearby)
            if part.low >= self._enough:
                return self._close(part)
            few = nearby.worse.size <= _FEW and nearby.reach >= self.excess - part.priced.low
            if done or (part.level == 1 + _TRIED and not few):
                break
            if self.queue and self.queue[0][0] < part.low:
                return self._push(part)
        halves = self._halves(part, worse)
        if not halves:
            return self._close(part)
        if not done and min(half.low for half in halves) <= part.low:
            return self._push(part)
        for half in halves:
            known = replace(half, low=max(half.low, part.low))
            (self._close if known.low >= self._enough else self._push)(known)
        return None

    def _looked(self, part: Part, nearby: Nearby) -> tuple[Part, bool]:
        """The *part* after one more look, and whether another would not help."""
        found, level = part.priced, part.level + 1
        reach = min(nearby.level(_LEVELS[part.level]), nearby.reach)
        if nearby.worse.size <= _ALMOST * _LEVELS[part.level]:
            reach = nearby.reach
        met = nearby.met(reach, self.excess, self.room, _PAIRS, self.loops)
        self.left -= met.effort
        if met.pick is not None:
            excess = self.root.space.excess(met.pick)
            if excess < self.excess:
                self.pick, self.excess = met.pick, excess
        if not met.complete:
            return replace(part, level=level), True
        low = found.low + reach
        if self.excess < math.inf:
            low = min(low, self.excess - _ROUNDING * (found.value + self.excess))
        self.closed = min(self.closed, met.doubtful)
        return (replace(part, level=level, low=max(part.low, low)),
                level == len(_LEVELS) or reach >= self.excess - found.low)

    def _halves(self, part: Part, worse: Floats) -> list[Part]:
        """The two halves of *part* by the schemes of one group; none where there is no such."""
        found = part.priced
        mask = found.open(worse, self.excess)
        places = np.flatnonzero(mask.sum(axis=1) > 1)
        if not places.size:
            return []
        group, side = _cut(found, worse, places)
        space = found.space.only(places, mask[places], found.pick)
        near = [found.space.full(pick)[space.groups] for pick in found.near]
        halves = []
        for half in space.split(group, side):
            if np.isfinite(half.losses[group]).any():
                again = priced(half, found, _moved(half, group, near, found.prices), _CLOSE)
                self.left -= _PRICED * half.losses.size
                halves.append(Part(priced=again, low=max(0.0, again.low)))
        return halves


def _cut(found: Priced, worse: Floats, places: Indices) -> tuple[int, Mask]:
    """Which of the groups at *places* to split, and its schemes that cost less than the middle.

    Of the groups that the relaxation mixes two schemes of, it is the one where those differ most
    in cost; both are then in different halves.
    """
    rows, pick = np.arange(places.size), found.pick[places]
    gaps = worse[places]
    gaps[rows, pick] = np.inf
    other = gaps.argmin(axis=1)
    weight = np.tensordot(found.prices, found.space.costs[:, places], axes=1)
    distance = np.abs(weight[rows, other] - weight[rows, pick])
    least = gaps[rows, other]
    distance[least > max(least.min(), _MIXED * found.low)] = -1.0
    group = int(distance.argmax())
    middle = (weight[group, other[group]] + weight[group, pick[group]]) / 2
    side = weight[group] <= middle
    if side[pick[group]] == side[other[group]]:  # they cost the same
        side = np.arange(side.size) == pick[group]
    return group, side


def _moved(space: Space, group: int, near: list[Indices], prices: Floats) -> list[Indices]:
    """Choices *near* with a scheme of *group* that is still in play."""
    weighed = space.losses[group] + prices @ space.costs[:, group]
    moved = [pick.copy() for pick in near]
    for pick in moved:
        if not np.isfinite(space.losses[group, pick[group]]):
            pick[group] = int(weighed.argmin())
    return moved
