"""Workers of a study: each shows that it lives, and takes back what a dead one left running."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mpsearch.nas.processes import Process, this_process
from mpsearch.nas.record import WORKER
from mpsearch.nas.tickets import DIED, INTERRUPTED, give_back, orphans, reissue

BEAT_S = 15.0
GRACE_S = 4 * BEAT_S
"""A worker on another machine that was not heard of for so many seconds counts as dead."""
_ORPHANED_S = 3.0
"""So long a ticket may be in nobody's hands: between the end of one trial and the next."""
_BEAT = "mpsearch.beat."
_HERE: set[str] = set()
"""Workers of this process that live."""


def name_of_this() -> str:
    """A name for this worker: host, process, and a part that no other process has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@contextmanager
def alive(study: Study, name: str) -> Iterator[None]:
    """While open, *study* is told every 15 seconds that the worker *name* lives."""
    done = threading.Event()
    process = this_process().data

    def beat(count: int) -> None:
        study.set_user_attr(_BEAT + name, {**process, "beat": count})

    def beats() -> None:
        count = 0
        while not done.wait(BEAT_S):
            count += 1
            with suppress(Exception):  # the worker itself will find the storage lost
                beat(count)

    _HERE.add(name)
    thread = threading.Thread(target=beats, daemon=True)
    try:
        beat(0)
        thread.start()
        yield
    finally:
        done.set()
        _HERE.discard(name)
        if thread.ident is not None:
            thread.join()


class Watch:
    """What the worker *own* sees of the others on *study*.

    No clock of another machine is believed: what did not change for so long by this one's is dead.
    """

    def __init__(self, study: Study, own: str, *,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._study, self._own, self._clock = study, own, clock
        self._since: dict[str, tuple[Any, float]] = {}

    def reclaim(self) -> int:
        """Enqueue anew what dead workers left behind; how many trials that were.

        Of several workers that see the same, one does it: a trial can be ended only once.
        """
        trials = self._study.get_trials(deepcopy=False)
        running = [each for each in trials if each.state == TrialState.RUNNING]
        beats = self._study.user_attrs if running else {}
        count = sum(give_back(self._study, each, "its worker died", DIED) for each in running
                    if each.user_attrs.get(WORKER) != self._own and self._dead(each, beats))
        for ticket, last in orphans(trials).items():  # whoever ended it died before enqueueing
            if self._still(f"ticket {ticket}", last.number, _ORPHANED_S):
                count += reissue(self._study, last)
        return count

    def busy(self) -> bool:
        """Whether another worker has a trial, or somebody should."""
        trials = self._study.get_trials(deepcopy=False)
        return bool(orphans(trials)) or any(
            each.state in {TrialState.RUNNING, TrialState.WAITING} for each in trials)

    def _dead(self, trial: FrozenTrial, beats: dict[str, Any]) -> bool:
        worker = trial.user_attrs.get(WORKER, "")
        sign = beats.get(_BEAT + worker)
        process = Process.read(sign)
        if process is not None and process.place == this_process().place:
            return (worker not in _HERE) if process == this_process() else not process.lives()
        return self._still(f"trial {trial.number}", [worker, sign], GRACE_S)

    def _still(self, name: str, sign: Any, seconds: float) -> bool:
        """Whether *sign* has been the same for so many *seconds*."""
        now = self._clock()
        before, since = self._since.get(name, (None, now))
        if before != sign:
            since = now
        self._since[name] = (sign, since)
        return now - since > seconds


def requeue(study: Study, number: int, reason: str) -> None:
    """End the running trial of that *number* for a *reason*, and enqueue it anew."""
    give_back(study, study.get_trials(deepcopy=False)[number], reason, INTERRUPTED)
