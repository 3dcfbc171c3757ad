"""Ways to propose a choice: all but the random ones go through the exact allocator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from optuna.trial import Trial

from mpsearch.core.errors import Infeasible
from mpsearch.nas.landscape import Choice, Floats
from mpsearch.nas.moves import around, fresh, improvement
from mpsearch.nas.pairs import linear
from mpsearch.nas.predictors import GaussianProcess, Predictor, Ridge, Table, errors
from mpsearch.nas.state import State

_FEWEST = 3
"""Measurements that a fit of the scores needs."""
_MANY = 100
"""Measurements beyond which a process over features is slow, and was no better than the table."""
_JUDGES = 60
"""So many of the last measurements decide between predictors."""
_ROUNDS = 3
"""Of allocation around the last answer."""


class Proposal(Protocol):
    """Proposes a choice within the limits that nobody took, or nothing."""

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """Parameters that Optuna's sampler is to choose are asked of *trial*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """Measure, correct the scores, allocate anew: the best choice by the expected scores."""

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        del trial
        if len(state.choices) < _FEWEST:
            return None
        return _allocated(state, state.residual.mean, state.residual.mean_pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thompson:
    """The best choice by scores drawn from what is known of them.

    Draws that give what was taken are drawn again. (Thompson, Biometrika 25, 1933.)
    """

    draws: int = 20

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        del trial
        if len(state.choices) < _FEWEST:
            return None
        for _ in range(self.draws):
            found = _allocated(state, *state.residual.drawn(state.rng))
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Improvement:
    """Of thousands of small changes to the best choice, the one expected to improve it most.

    The predictor is the one with the least error in cross-validation.
    """

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        del trial
        if state.incumbent is None or len(state.choices) < _FEWEST:
            return None
        near = around(state.landscape, state.incumbent, state.rng)
        near = fresh(near, set(state.taken))
        if not len(near):
            return None
        mean, deviation = _best_predictor(state)(
            state.landscape, *state.telling).predict(near)
        inside = state.landscape.within(state.choices)
        gains = improvement(mean, deviation, float(state.logs[inside].min()))
        return tuple(near[int(np.argmax(gains))].tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Scores as Optuna's sampler changes them, then the allocator.

    Each unit (a block, a kind of layer) has a factor from ``exp(-spread)`` to ``exp(spread)``. Then
    there is how much of what measurements say of the scores counts, from nothing (the scores as
    they are) to all; where interactions are known, how often they count; and where the scores'
    standard errors are, how many of the total's are added, up to *kappa*.
    """

    spread: float = 1.0
    kappa: float = 2.0

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        units = state.landscape.units
        logs = np.array([trial.suggest_float(f"price.{unit.name}", -self.spread, self.spread)
                         for unit in units])
        own = state.landscape
        factors = np.exp(logs @ own.membership)[:, None]
        correction = trial.suggest_float("correction", 0.0, 1.0)
        interaction = 0.0 if own.factor is None else trial.suggest_float("interaction", 0.0, 1.0)
        kappa = 0.0 if own.spread is None else trial.suggest_float("kappa", 0.0, self.kappa)
        return _new(state, shrunk(state, correction) * factors, interaction=interaction,
                    kappa=kappa)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One small change to the best choice, drawn among the better half by their scores."""

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        del trial
        if state.incumbent is None:
            return None
        near = fresh(around(state.landscape, state.incumbent, state.rng, groups=2),
                     set(state.taken))
        if not len(near):
            return None
        order = np.argsort(state.landscape.additive(near), kind="stable")
        return tuple(near[order[state.rng.integers(0, min(20, len(order)))]].tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scattered:
    """The allocator's answer to scores that are off at random: always another one, in the end."""

    spread: float = 0.3
    draws: int = 50

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        del trial
        scores = state.landscape.scores
        for draw in range(self.draws):
            wide = self.spread * (1 + draw / 10)
            found = _new(state, scores * np.exp(wide * state.rng.standard_normal(scores.shape)))
            if found is not None:
                return found
        return None


def shrunk(state: State, correction: float) -> Floats:
    """The scores with so much of their expected error put right: 0 is none, 1 all of it."""
    if not correction or len(state.choices) < _FEWEST:
        return state.landscape.scores
    return state.residual.corrected(correction * state.residual.mean)


def _allocated(state: State, w: Floats, pairs: Floats) -> Choice | None:
    """The best choice by corrected scores *w* and what *pairs* add, of those nobody took.

    What pairs add is put into the scores as it is around the last answer, the best measured choice
    at first: an iterated linearisation through the exact allocator.
    """
    scores, known = state.residual.corrected(w), state.residual.interaction
    at, new = state.incumbent, None
    for _ in range(_ROUNDS if pairs.any() else 1):
        beside = linear(state.landscape, pairs, np.array(at)) if at else 0.0
        found = _placed(state, scores + beside, interaction=known)
        if found is not None and found not in state.taken:
            new = found
        if found in {at, None}:
            break
        at = found
    return new


def _best_predictor(state: State) -> Predictor:
    known: dict[str, Predictor] = {"table": Table(), "ridge": Ridge()}
    choices, logs = state.telling
    if len(choices) <= _MANY:
        known["gaussian_process"] = GaussianProcess()
    if len(choices) < 4 * _FEWEST:
        return known["table"]
    found = errors(known, state.landscape, choices[-_JUDGES:], logs[-_JUDGES:])
    return known[min(found, key=lambda name: found[name])]


def _new(state: State, scores: Floats, *, interaction: float = 0.0,
         kappa: float = 0.0) -> Choice | None:
    """What the allocator makes of *scores*, unless it was taken."""
    choice = _placed(state, scores, interaction=interaction, kappa=kappa)
    return None if choice in state.taken else choice


def _placed(state: State, scores: Floats, *, interaction: float = 0.0,
            kappa: float = 0.0) -> Choice | None:
    try:
        return state.landscape.placed(scores, interaction=interaction, kappa=kappa)
    except Infeasible:
        return None
