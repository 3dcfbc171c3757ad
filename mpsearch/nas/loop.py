"""One worker's part of a search: take a ticket, propose, measure, tell; until none is left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from optuna.exceptions import TrialPruned, UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial, TrialState

from mpsearch.core.errors import BadInput, Infeasible, MpsearchError
from mpsearch.nas.landscape import Choice, Floats, Integers, Landscape
from mpsearch.nas.lost import cheapest_worth, lost
from mpsearch.nas.patience import StorageLost
from mpsearch.nas.proposals import Improvement, Prices, Proposal, Refit, Scattered, Swap, Thompson
from mpsearch.nas.race import Rungs
from mpsearch.nas.record import (
    CHOICE,
    ORIGIN,
    REASON,
    RETRY,
    SAMPLES,
    TICKET,
    Record,
    arrays,
    choices_of,
    packed_choice,
    packed_samples,
    records,
    unpacked_choice,
)
from mpsearch.nas.state import State
from mpsearch.nas.task import Task
from mpsearch.nas.tickets import claimed
from mpsearch.nas.workers import Watch, alive, name_of_this, requeue

LOOP: tuple[tuple[str, Proposal], ...] = (
    ("refit", Refit()), ("thompson", Thompson()), ("improvement", Improvement()),
    ("thompson", Thompson()), ("prices", Prices()), ("improvement", Improvement()))
"""What tickets propose by, in turn."""
_RESERVE: tuple[tuple[str, Proposal], ...] = (
    ("thompson", Thompson()), ("swap", Swap()), ("scattered", Scattered()))
"""Asked one after the other where a proposal has nothing new."""
_IDLE_S = 0.5
_TRIES = 8
"""So often a worker looks for a choice that no other worker has come to at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Worker:
    """Works on *study*, which is about *task*, proposing by *proposals* in turn.

    *rungs* are where a trial is judged by the study's pruner; None measures all to the end.
    """

    study: Study
    task: Task
    proposals: Sequence[tuple[str, Proposal]] = LOOP
    rungs: Rungs | None = None
    told: Callable[[Record], None] = lambda _record: None

    def run(self) -> None:
        """Work until every ticket was used; others' last trials are waited for."""
        name = name_of_this()
        watch = Watch(self.study, name)
        with alive(self.study, name):
            while True:
                watch.reclaim()
                trial = claimed(self.study, name)
                if trial is not None:
                    self._one(trial)
                elif watch.busy():
                    time.sleep(_IDLE_S)
                else:
                    return

    def _one(self, trial: Trial) -> None:
        with suppress(UpdateFinishedTrialError):  # taken for dead: another worker does it anew
            self._settled(trial)
        found = self.study.get_trials(deepcopy=False)[trial.number]
        for record in records([found]):
            self.told(record)

    def _settled(self, trial: Trial) -> None:
        try:
            self._measured(trial, self._choice(trial))
        except KeyboardInterrupt:
            requeue(self.study, trial.number, "it was interrupted")
            raise
        except TrialPruned:
            self.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        except StorageLost:
            raise
        except MpsearchError as problem:
            trial.set_user_attr(REASON, str(problem))
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _choice(self, trial: Trial) -> Choice:
        """What was decided for the ticket of *trial*, or what is proposed now.

        Two workers may come to the same choice at once: then both look for another one.
        """
        before: Choice | None = None
        if CHOICE in trial.user_attrs:
            before = unpacked_choice(trial.user_attrs[CHOICE])
            if RETRY not in trial.user_attrs or not self._shared(trial, before):
                return before
        for _ in range(_TRIES):
            origin, choice = self.proposed(trial)
            trial.set_user_attr(ORIGIN, origin)
            trial.set_user_attr(CHOICE, packed_choice(choice))
            if choice == before or not self._shared(trial, choice):
                break
            before = choice
        return choice

    def _shared(self, trial: Trial, choice: Choice) -> bool:
        """Whether another ticket has *choice*."""
        return choice in choices_of(self.study.get_trials(deepcopy=False),
                                    but=trial.user_attrs[TICKET])

    def proposed(self, trial: Trial) -> tuple[str, Choice]:
        """A choice for *trial* that no trial has yet, and what proposed it.

        Raises:
            Infeasible: nothing new is within the limits.
        """
        ticket = int(trial.user_attrs[TICKET])
        trials = self.study.get_trials(deepcopy=False)
        choices, losses = arrays(records(trials))
        choices = choices.reshape(-1, len(self.task.landscape.sizes))
        rng = np.random.default_rng([self.task.seed, ticket])
        state = self._state(choices, losses, choices_of(trials), rng)
        turn = self.proposals[ticket % len(self.proposals)]
        for name, propose in (turn, *_RESERVE):
            choice = propose(state, trial)
            if choice is not None:
                return name, choice
        raise Infeasible("there is no choice within the limits that was not measured")

    def _state(self, choices: Integers, losses: Floats, taken: frozenset[Choice],
               rng: np.random.Generator) -> State:
        """What is known; of a front, within limits drawn anew from where losses begin to fall."""
        own = self.task.landscape
        here = own if len(self.task.objectives) == 1 else replace(own, problem=replace(
            own.problem, limits=_drawn(own, lost(own, choices, losses), choices, rng)))
        return State(landscape=here, whole=own, rng=rng, losses=losses, choices=choices,
                     taken=taken)

    def _measured(self, trial: Trial, choice: Choice) -> None:
        outcome = self.task.measure(choice, self._judge(trial))
        if not all(map(math.isfinite, outcome.samples)):
            raise BadInput("the measured loss is not a finite number")
        trial.set_user_attr(SAMPLES, packed_samples(outcome.samples))
        if not outcome.complete:
            raise TrialPruned
        self.study.tell(trial, list(self.task.values(choice, outcome)), skip_if_finished=True)

    def _judge(self, trial: Trial) -> Callable[[Sequence[float]], bool]:
        before = 0
        started = trial.user_attrs.get(TICKET, 0) < len(self.task.starts)

        def go_on(samples: Sequence[float]) -> bool:
            nonlocal before
            if self.rungs is None or started or not self.rungs.reached(before, len(samples)):
                before = len(samples)
                return True
            before = len(samples)
            trial.set_user_attr(SAMPLES, packed_samples(samples))
            trial.report(sum(samples) / len(samples), len(samples))
            return not trial.should_prune()

        return go_on


def _drawn(landscape: Landscape, gone: NDArray[np.bool_], choices: Integers,
           rng: np.random.Generator) -> tuple[float, ...]:
    """Limits for one trial of a front: more of them low ones, none where all is lost."""
    problem = landscape.problem
    floors = [cheapest_worth(landscape, choices, gone)] if gone.any() else [
        problem.floor(m) for m in range(len(problem.limits))]
    return tuple(min(limit, floor + rng.beta(1.0, 1.5) * (problem.ceiling(m) - floor))
                 for m, (limit, floor) in enumerate(zip(problem.limits, floors, strict=True)))
