"""One worker's part of a search: take a ticket, propose, measure, tell; until none is left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from optuna.exceptions import TrialPruned
from optuna.study import Study
from optuna.trial import Trial, TrialState

from mpsearch.core.errors import BadInput, Infeasible, MpsearchError
from mpsearch.nas.landscape import Choice, Landscape
from mpsearch.nas.proposals import Improvement, Prices, Proposal, Refit, Scattered, Swap, Thompson
from mpsearch.nas.race import Rungs
from mpsearch.nas.record import (
    CHOICE,
    ORIGIN,
    REASON,
    SAMPLES,
    TICKET,
    WORKER,
    Record,
    arrays,
    packed_choice,
    packed_samples,
    records,
)
from mpsearch.nas.state import State
from mpsearch.nas.task import Task
from mpsearch.nas.tickets import take
from mpsearch.nas.workers import alive, name_of_this, reclaim, requeue

LOOP: tuple[tuple[str, Proposal], ...] = (
    ("refit", Refit()), ("thompson", Thompson()), ("improvement", Improvement()),
    ("thompson", Thompson()), ("prices", Prices()), ("improvement", Improvement()))
"""What tickets propose by, in turn."""
_RESERVE: tuple[tuple[str, Proposal], ...] = (
    ("thompson", Thompson()), ("swap", Swap()), ("scattered", Scattered()))
"""Asked one after the other where a proposal has nothing new."""
_IDLE_S = 0.5


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
        with alive(self.study, name):
            while True:
                reclaim(self.study, name)
                trial = take(self.study)
                if trial is not None:
                    self._one(trial, name)
                elif self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                    time.sleep(_IDLE_S)
                else:
                    return

    def _one(self, trial: Trial, name: str) -> None:
        trial.set_user_attr(WORKER, name)
        try:
            self._measured(trial, self._choice(trial))
        except KeyboardInterrupt:
            requeue(self.study, trial.number, "it was interrupted")
            raise
        except TrialPruned:
            self.study.tell(trial, state=TrialState.PRUNED)
        except MpsearchError as problem:
            self._fail(trial, str(problem))
        found = self.study.trials[trial.number]
        for record in records([found]):
            self.told(record)

    def _fail(self, trial: Trial, reason: str) -> None:
        trial.set_user_attr(REASON, reason)
        self.study.tell(trial, state=TrialState.FAIL)

    def _choice(self, trial: Trial) -> Choice:
        if CHOICE in trial.user_attrs:
            return tuple(map(int, trial.user_attrs[CHOICE].split(",")))
        origin, choice = self.proposed(trial)
        trial.set_user_attr(ORIGIN, origin)
        trial.set_user_attr(CHOICE, packed_choice(choice))
        return choice

    def proposed(self, trial: Trial) -> tuple[str, Choice]:
        """A choice for *trial* that no trial has yet, and what proposed it.

        Raises:
            Infeasible: nothing new is within the limits.
        """
        ticket = int(trial.user_attrs[TICKET])
        found = records(self.study.get_trials(deepcopy=False))
        choices, losses = arrays(found)
        groups = len(self.task.landscape.sizes)
        rng = np.random.default_rng([self.task.seed, ticket])
        state = State(
            landscape=self._landscape(rng), rng=rng, losses=losses,
            choices=choices.reshape(-1, groups), taken=frozenset(each.choice for each in found))
        turn = self.proposals[ticket % len(self.proposals)]
        for name, propose in (turn, *_RESERVE):
            choice = propose(state, trial)
            if choice is not None:
                return name, choice
        raise Infeasible("there is no choice within the limits that was not measured")

    def _landscape(self, rng: np.random.Generator) -> Landscape:
        """The one of the task; of a front, within limits drawn anew."""
        own = self.task.landscape
        if len(self.task.objectives) == 1:
            return own
        limits = tuple(
            min(limit, own.problem.floor(m) + rng.beta(1.0, 1.5) * (
                own.problem.ceiling(m) - own.problem.floor(m)))
            for m, limit in enumerate(own.problem.limits))
        return replace(own, problem=replace(own.problem, limits=limits))

    def _measured(self, trial: Trial, choice: Choice) -> None:
        outcome = self.task.measure(choice, self._judge(trial))
        if not all(map(math.isfinite, outcome.samples)):
            raise BadInput("the measured loss is not a finite number")
        trial.set_user_attr(SAMPLES, packed_samples(outcome.samples))
        if not outcome.complete:
            raise TrialPruned
        self.study.tell(trial, list(self.task.values(choice, outcome)))

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
