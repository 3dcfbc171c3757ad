"""How a search is going: trials of all its workers, the best one so far, and the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial

from mpsearch.nas.race import best_of
from mpsearch.nas.record import TICKET, Record, records
from mpsearch.nas.task import Task
from mpsearch.nas.tickets import holders
from mpsearch.report.units import number
from mpsearch.steps.compare import compare
from mpsearch.steps.dominated import dominated
from mpsearch.steps.progress import Step

_RECENT = 30
"""The pace is that of so many of this worker's last trials."""


class Pace:
    """How fast work is done, as told now and then; what came before the first time does not count.

    Before a worker's first trial ends, a model is loaded and captured.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque(maxlen=_RECENT)

    def saw(self, done: int) -> None:
        """So much is *done* by now."""
        self._seen.append((self._clock(), done))

    def left(self, rest: int) -> float | None:
        """Seconds that *rest* more will take; None where nobody knows yet."""
        if not self._seen:
            return None
        (since, before), (now, done) = self._seen[0], self._seen[-1]
        return rest * (now - since) / (done - before) if done > before else None


class Course:
    """Follows *study*, which is about *task*, and tells *step* of every worker's trials."""

    def __init__(self, study: Study, task: Task, step: Step,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._study, self._task, self._step = study, task, step
        self._interval: tuple[int, str] = (-1, "")
        self._done = self._finished(study.get_trials(deepcopy=False))
        self._pace = Pace(clock)
        step(self._done)

    def told(self, _record: Record) -> None:
        """A trial of this worker has ended; those of others meanwhile count too."""
        trials = self._study.get_trials(deepcopy=False)
        done = max(self._finished(trials), self._done)
        self._pace.saw(done)
        self._step(done - self._done, lambda: self.note(trials))
        self._done = done

    def note(self, trials: Sequence[FrozenTrial]) -> str:
        """The best loss, or what a front dominates, and how long the rest will take."""
        found = records(trials)
        parts = [self._best(found) if len(self._task.objectives) == 1 else self._front(found)]
        tickets = {each.user_attrs[TICKET] for each in trials if TICKET in each.user_attrs}
        left = self._pace.left(len(tickets) - self._finished(trials))
        return ", ".join([each for each in parts if each] + ([] if left is None else [
            f"{_time(left)} left"]))

    @staticmethod
    def _finished(trials: Sequence[FrozenTrial]) -> int:
        return sum(each.state.is_finished() for each in holders(trials).values())

    def _best(self, found: Sequence[Record]) -> str:
        landscape = self._task.landscape
        best = best_of([each for each in found if landscape.problem.meets(each.choice)])
        if best is None:
            return ""
        if best.number != self._interval[0]:
            apart = compare(best.samples, [0.0] * len(best.samples))
            self._interval = best.number, (
                f"best {number(best.loss)} nats (95 % by bootstrap over samples: "
                f"{number(apart.low)} to {number(apart.high)})")
        return self._interval[1]

    def _front(self, found: Sequence[Record]) -> str:
        complete = [each for each in found if each.complete]
        return dominated(self._task, complete).words if complete else ""


def _time(seconds: float) -> str:
    """Seconds as a person says them."""
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004
