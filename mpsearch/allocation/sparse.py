"""Exact choice with sparse pairs: prices, what they rule out, and a sweep over what is left."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from mpsearch.allocation import program
from mpsearch.allocation.bound import ROUNDING, Floats
from mpsearch.allocation.core import Core
from mpsearch.allocation.lagrangian import Dual, search
from mpsearch.allocation.shifted import shifted
from mpsearch.allocation.tree import Tree
from mpsearch.allocation.treesweep import Slack, treesweep

_ROUNDS = 6  # of prices and dropping candidates
_EVALUATIONS, _FEW = 60, 6  # of prices in a round, and while the tables are large
_LARGE = 1 << 20  # entries
_WORTH = 0.9  # share of the entries that a round has to get below for another one
_AROUND = (0.8, 1.25)  # multiples of the best prices that bound what comes later in a sweep
_BEAM = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Progress:
    """What is known: the *tree* in play, the best choice and its loss above the base.

    *whole* is the tree before anything was dropped. No choice has a loss of less than *low* above
    its base, but for the best. *prices* are the best known.
    """

    whole: Tree
    tree: Tree
    best: tuple[int, ...] | None = None
    excess: float = math.inf
    low: float = 0.0
    prices: Floats | None = None

    @property
    def closed(self) -> bool:
        """Whether no choice is better than the best one or, without one, none exists."""
        return self.low >= self.excess * (1 - ROUNDING)

    def offer(self, choices: Iterable[tuple[int, ...]], low: float) -> Progress:
        """Take in whichever of *choices* fits and is best, and a bound."""
        problem, best, excess = self.tree.core.problem, self.best, self.excess
        for choice in choices:
            loss = self.whole.loss(self.whole.core.positions(choice))
            if loss < excess and problem.meets(choice):
                best, excess = choice, loss
        return replace(self, best=best, excess=excess, low=max(low, self.low))

    def priced(self) -> Progress:
        """Search the best prices, take in the choices met, and drop what those rule out."""
        state, stuck = self, False
        for _ in range(_ROUNDS):
            tree, few = state.tree, state.tree.entries > _LARGE and not stuck
            evaluations = _FEW if few else _EVALUATIONS
            start = () if state.prices is None else tuple(state.prices)
            dual: Dual = search(tree.ask, len(tree.core.room), evaluations, start)
            top = dual.best
            state = replace(state, prices=top.prices).offer(
                dict.fromkeys(p.choice for p in dual.points if p.fits), top.value)
            if state.closed or math.isinf(top.value):
                return replace(state, low=max(state.low, top.value))
            slim = state.narrowed()
            stuck = slim.tree.entries > _WORTH * tree.entries
            if slim.closed or (stuck and not few):
                return slim
            state = slim
        return state

    def narrowed(self) -> Progress:
        """Drop what cannot be part of a better choice, at the best prices and by cost."""
        tree: Tree | None = self.tree
        prices = [] if self.prices is None or self.best is None else [self.prices]
        for each in prices:
            found = self.tree.eliminated(each, 1.0)
            value = self.tree.point(found, each, 1.0).value
            tree = self.tree.without(found, self.excess - value + self.tree.margin(each, value))
        for metric in range(len(self.tree.core.room)):
            if tree is None:
                break
            unit = np.eye(len(self.tree.core.room))[metric]
            found = tree.eliminated(unit, 0.0)
            room = float(tree.core.room[metric, 0])
            tree = tree.without(found, room - found.total + 2 * tree.margin(unit, found.total))
        return replace(self, low=math.inf) if tree is None else replace(self, tree=tree)

    def swept(self, width: int) -> Progress:
        """Sweep what is left for a better choice."""
        if self.closed:
            return self
        metrics = len(self.tree.core.room)
        prices = np.zeros(metrics) if self.prices is None else self.prices
        slacks = [Slack.losses(self.tree, prices * part, self.excess) for part in (1.0, *_AROUND)]
        slacks += [Slack.costs(self.tree, metric) for metric in range(metrics)]
        found = treesweep(self.tree, slacks, self.excess, width)
        state = self.offer([] if found.choice is None else [found.choice], found.bound)
        return state if state.best is self.best else state.narrowed()


def solve(core: Core, *, largest: int, expansions: int, seconds: float, solver: str = "",
          known: program.Answer | None = None) -> Progress | None:
    """The best choice of *core*; None if its tables have more than *largest* entries.

    What sweeps of up to *expansions* partial choices leave open goes to *solver* where named.
    *known* is what is known beforehand.
    """
    deadline = time.monotonic() + seconds
    tree = Tree.of(core, largest)
    if tree is None:
        return None
    state = Progress(whole=tree, tree=tree)
    if known is not None:
        state = state.offer([known.choice] if known.choice else [], known.bound)
    state = state.priced()
    for share in (0.0, 0.125, 1.0):
        if state.closed or time.monotonic() > deadline:
            break
        if share == 1 and solver:
            state = _programmed(state, solver, deadline)
        width = share * expansions / sum(row.size for row in state.tree.kept)
        state = state.swept(max(_BEAM, int(width))).priced()
    return state


def _programmed(state: Progress, solver: str, deadline: float) -> Progress:
    """What an integer program makes of the candidates in play."""
    whole = state.whole.core
    part = whole.problem.only([row[kept] for row, kept
                               in zip(whole.kept, state.tree.kept, strict=True)])
    core = Core.of(part.problem)
    answer = program.solve(core, solver=solver, seconds=max(0.0, deadline - time.monotonic()))
    choices = [] if answer.choice is None else [part.expand(answer.choice)]
    return state.offer(choices, answer.bound + core.base + shifted(core)[1] - state.whole.base)
