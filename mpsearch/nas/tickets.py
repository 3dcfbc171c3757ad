"""Taking the next ticket of a study: the lowest one that nobody works on."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from mpsearch.nas.record import TICKET


def take(study: Study) -> Trial | None:
    """The waiting trial of the lowest ticket, now running here; None if there is none.

    `Study.ask` would take the oldest trial, and make one of its own where none waits: a ticket that
    an interrupted worker gave back is to come first, so that a study resumes to the same end.
    """
    while waiting := study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        first = min(waiting, key=_place)
        storage, own = study._storage, first._trial_id  # noqa: SLF001 - see above
        if storage.set_trial_state_values(own, TrialState.RUNNING):
            return Trial(study, own)
    return None


def _place(trial: FrozenTrial) -> tuple[int, int]:
    return int(trial.user_attrs.get(TICKET, trial.number)), trial.number
