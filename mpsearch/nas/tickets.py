"""Tickets of a study: each is worked off once, whoever dies in between.

A ticket is a trial that waits. Of several trials with the same ticket the first that is not void
holds it. Trials are numbered in the order in which they came to be, so all workers agree on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from mpsearch.nas.landscape import Choice
from mpsearch.nas.record import (
    CHOICE,
    ORIGIN,
    REASON,
    RETRY,
    TICKET,
    VOID,
    WORKER,
    is_void,
    packed_choice,
)

DIED, INTERRUPTED, TWICE = "died", "interrupted", "twice"
"""Why a trial is void."""
_BATCH = 16
_LIVES = 3
"""So many workers may die of a ticket."""


def holders(trials: Iterable[FrozenTrial]) -> dict[int, FrozenTrial]:
    """For each ticket the one trial that counts."""
    found: dict[int, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda each: each.number):
        if TICKET in trial.user_attrs and not is_void(trial):
            found.setdefault(int(trial.user_attrs[TICKET]), trial)
    return found


def orphans(trials: Sequence[FrozenTrial]) -> dict[int, FrozenTrial]:
    """Tickets that no trial holds any more, with the last void trial of each."""
    held = holders(trials)
    return {int(trial.user_attrs[TICKET]): trial for trial in trials
            if is_void(trial) and trial.user_attrs.get(TICKET, -1) not in held
            and TICKET in trial.user_attrs}


def claimed(study: Study, worker: str) -> Trial | None:
    """The waiting trial of the least ticket, now run by *worker*; None where none waits.

    What waits without a ticket, or with one that another trial holds, is ended.
    """
    trials = study.get_trials(deepcopy=False)
    held = holders(trials)
    waits = [trial for trial in trials if trial.state == TrialState.WAITING]
    for trial in sorted(waits, key=lambda each: (each.user_attrs.get(TICKET, -1), each.number)):
        holder = held.get(trial.user_attrs.get(TICKET, -1))
        if holder is None or holder.number != trial.number:
            end(study, trial, "another trial has its ticket" if holder else "it has no ticket",
                TWICE)
        elif _taken(study, trial):
            mine = Trial(study, trial._trial_id)  # noqa: SLF001 - `ask` would make one where none waits
            mine.set_user_attr(WORKER, worker)
            return mine
    return None


def issue(study: Study, tickets: Sequence[int], starts: Sequence[tuple[str, Choice]]) -> bool:
    """Enqueue *tickets*, the first ones of a study for the choices of *starts*.

    It ends early, and the answer is False, where another worker is found to do the same. That is
    looked for now and then: what comes twice in between does no harm.
    """
    for index, ticket in enumerate(tickets):
        attrs: dict[str, Any] = {TICKET: ticket}
        if ticket < len(starts):
            origin, choice = starts[ticket]
            attrs |= {ORIGIN: origin, CHOICE: packed_choice(choice)}
        key = _enqueued(study, attrs)
        if index % _BATCH == 0 and not _first(study, key):
            return False
    return True


def reissue(study: Study, trial: FrozenTrial) -> bool:
    """Enqueue the ticket of the void *trial* anew, with all that was decided for it."""
    kept = {name: trial.user_attrs[name] for name in (TICKET, CHOICE, ORIGIN)
            if name in trial.user_attrs}
    decided = CHOICE in kept
    more = {"params": trial.params, "distributions": trial.distributions,
            "system_attrs": trial.system_attrs} if decided else {}
    return _first(study, _enqueued(study, {**kept, RETRY: trial.number}, **more))


def give_back(study: Study, trial: FrozenTrial, reason: str, why: str) -> bool:
    """End the running *trial* without a verdict and enqueue its ticket anew; whether this did it.

    A ticket that three workers died of is not given out again: its trial failed.
    """
    same = [each for each in study.get_trials(deepcopy=False)
            if each.user_attrs.get(TICKET) == trial.user_attrs.get(TICKET)]
    deaths = sum(is_void(each) and each.user_attrs[VOID] == DIED for each in same)
    if why == DIED and deaths + 1 >= _LIVES:
        return end(study, trial, f"{reason}, as {deaths} had before", None)
    if not end(study, trial, reason, why):
        return False
    if TICKET in trial.user_attrs:
        reissue(study, trial)
    return True


def end(study: Study, trial: FrozenTrial, reason: str, why: str | None) -> bool:
    """Make *trial* a failed one for a *reason*, void if *why* is given; whether this did it."""
    storage, key = study._storage, trial._trial_id  # noqa: SLF001 - `tell` cannot say "too late"
    try:
        storage.set_trial_user_attr(key, REASON, reason)
        if why is not None:
            storage.set_trial_user_attr(key, VOID, why)
        return storage.set_trial_state_values(key, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False


def _taken(study: Study, trial: FrozenTrial) -> bool:
    try:
        return study._storage.set_trial_state_values(  # noqa: SLF001 - one worker alone gets True
            trial._trial_id, TrialState.RUNNING)  # noqa: SLF001
    except UpdateFinishedTrialError:
        return False


def _enqueued(study: Study, attrs: dict[str, Any], **more: Any) -> int:
    """Enqueue a trial as `Study.enqueue_trial` does, and say which one it is: its key."""
    template = create_trial(state=TrialState.WAITING, user_attrs=attrs, **more)
    return study._storage.create_new_trial(study._study_id, template)  # noqa: SLF001


def _first(study: Study, key: int) -> bool:
    """Whether the trial *key* holds its ticket; one that came too late is ended."""
    trials = study.get_trials(deepcopy=False)
    mine = next(each for each in trials if each._trial_id == key)  # noqa: SLF001
    if holders(trials).get(mine.user_attrs[TICKET], mine).number == mine.number:
        return True
    end(study, mine, "another trial has its ticket", TWICE)
    return False
