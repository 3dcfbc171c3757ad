"""From a choice beyond the limits down to one within them, a group's candidate at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mpsearch.allocation.bound import Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.fixed import Ints, Mask, carry, total, within

_ROUNDS = 4  # changes of the limits that count, per metric; a guard against going in circles


def by_ratio(core: Core, choice: Sequence[int]) -> tuple[int, ...]:
    """Take the change of least added loss per saved cost until within the limits, or stuck.

    Cost counts as a share of each limit that was exceeded so far, those just now only once no
    change saves any more.
    """
    state = _State.of(core, choice)
    counted = state.over()
    for _ in range(_ROUNDS * len(core.room)):
        state.descend(counted)
        over = state.over()
        if not over.any():
            break
        counted = counted | over if (over & ~counted).any() else over
    return core.choice(state.positions)


def by_list(core: Core, choice: Sequence[int]) -> tuple[int, ...]:
    """Go once through all candidates by rising loss, taking each that saves cost.

    Cost counts on the exceeded limits only; the walk ends as soon as none is exceeded.
    """
    state = _State.of(core, choice)
    listed = sorted((float(loss), group, place) for group in core.open
                    for place, loss in enumerate(core.losses[group]))
    for _, group, place in listed:
        over = state.over()
        if not over.any():
            break
        if state.saved(group, state.weights(over))[place] > 0:
            state.move(group, place)
    return core.choice(state.positions)


@dataclass(slots=True, kw_only=True, eq=False)
class _State:
    """A choice on its way down: *positions* in the core, and what it has *spent* so far."""

    core: Core
    positions: list[int]
    spent: Ints

    @classmethod
    def of(cls, core: Core, choice: Sequence[int]) -> _State:
        positions = core.positions(choice)
        spent = total(np.stack([np.zeros_like(core.room), *(
            core.costs[group][positions[group]] for group in core.open)]))
        return cls(core=core, positions=positions, spent=spent)

    def over(self) -> Mask:
        """Which limits are exceeded."""
        return ~within(self.spent[:, None], self.core.room[:, None])

    def weights(self, over: Mask) -> Floats:
        """Cost as a share of the room on the limits in *over*, nothing on the others."""
        return np.asarray(over / np.maximum(1.0, np.abs(self.core.room[:, 0])))

    def saved(self, group: int, weights: Floats) -> Floats:
        """Weighted cost that each candidate of *group* saves."""
        costs = self.core.costs[group]
        return np.asarray(carry(costs[self.positions[group]] - costs)[..., 0] @ weights)

    def cheapest(self, group: int, weights: Floats) -> Iterable[tuple[float, int, int]]:
        """The best change of *group* as (loss per saved cost, group, position), if there is one."""
        saved = self.saved(group, weights)
        useful = np.flatnonzero(saved > 0)
        if useful.size:
            losses = self.core.losses[group]
            ratio = (losses[useful] - losses[self.positions[group]]) / saved[useful]
            # Of equal ratios the smallest step: it leaves most to choose.
            best = np.lexsort((saved[useful], ratio))[0]
            yield float(ratio[best]), group, int(useful[best])

    def descend(self, counted: Mask) -> None:
        """Make the cheapest changes until within the limits, or one not *counted* is exceeded."""
        weights = self.weights(counted)
        heap = [step for group in self.core.open for step in self.cheapest(group, weights)]
        heapq.heapify(heap)
        while heap and self.over().any() and not (self.over() & ~counted).any():
            _, group, place = heapq.heappop(heap)
            self.move(group, place)
            for step in self.cheapest(group, weights):
                heapq.heappush(heap, step)

    def move(self, group: int, place: int) -> None:
        """Give *group* the candidate at *place*."""
        costs = self.core.costs[group]
        self.spent = carry(self.spent + costs[place] - costs[self.positions[group]])
        self.positions[group] = place
