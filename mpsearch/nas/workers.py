"""Workers of a study: each shows that it lives, and takes back what a dead one left running."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mpsearch.nas.record import CHOICE, ORIGIN, REASON, RETRY, TICKET, WORKER

BEAT_S = 15.0
GRACE_S = 4 * BEAT_S
"""After so many seconds without a sign, a worker on another machine counts as dead."""
_BEAT = "mpsearch.beat."


def name_of_this() -> str:
    """A name for this worker: host, process, and a part that no other process has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@contextmanager
def alive(study: Study, name: str) -> Iterator[None]:
    """While open, *study* is told every 15 seconds that the worker *name* lives."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_S):
            study.set_user_attr(_BEAT + name, time.time())

    study.set_user_attr(_BEAT + name, time.time())
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def reclaim(study: Study, own: str) -> int:
    """Enqueue anew what dead workers left running; how many trials that were.

    Of several workers that see the same, one does it: a trial can be ended only once.
    """
    count = 0
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = trial.user_attrs.get(WORKER, "")
        if worker != own and _dead(study, trial, worker):
            count += _ended(study, trial, "its worker died")
    return count


def requeue(study: Study, number: int, reason: str) -> None:
    """End the running trial of that *number* for a *reason*, and enqueue it anew."""
    _ended(study, study.get_trials(deepcopy=False)[number], reason)


def _dead(study: Study, trial: FrozenTrial, worker: str) -> bool:
    host, pid, *_ = [*worker.split(":"), "", ""]
    if host == socket.gethostname() and pid.isdigit():
        return not Path(f"/proc/{pid}").exists() if Path("/proc").exists() else _gone(int(pid))
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    beat = study.user_attrs.get(_BEAT + worker, started)
    return time.time() - float(beat) > GRACE_S


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _ended(study: Study, trial: FrozenTrial, reason: str) -> int:
    storage = study._storage  # noqa: SLF001 - the public `tell` cannot say that it came too late
    try:
        storage.set_trial_user_attr(trial._trial_id, REASON, reason)  # noqa: SLF001
        done = storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)  # noqa: SLF001
    except UpdateFinishedTrialError:
        return 0
    if not done:
        return 0
    kept = {name: trial.user_attrs[name] for name in (TICKET, CHOICE, ORIGIN)
            if name in trial.user_attrs}
    study.enqueue_trial(trial.params, user_attrs={**kept, RETRY: trial.number})
    return 1
