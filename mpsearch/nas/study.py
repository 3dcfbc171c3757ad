"""Studies in a storage: made once, by whoever comes first, with a ticket for every trial."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.study import Study

from mpsearch.core.errors import BadInput
from mpsearch.nas.landscape import Choice
from mpsearch.nas.record import CHOICE, ORIGIN, TICKET, packed_choice
from mpsearch.nas.samplers import Seeded
from mpsearch.nas.task import Direction

SCHEMA = 1
_SCHEMA, _IDENTITY, _TICKETS = "mpsearch.schema", "mpsearch.identity", "mpsearch.tickets"
_PATIENCE_S = 30.0
_PAUSE_S = 0.2


def opened(storage: BaseStorage, name: str, *, identity: str, directions: Sequence[Direction],
           starts: Sequence[tuple[str, Choice]], trials: int, sampler: Seeded,
           pruner: BasePruner | None) -> Study:
    """The study called *name*, with *trials* tickets: made, or joined where it exists.

    *identity* is a digest of all that its trials depend on. The first tickets are for *starts*,
    which have an origin each. More trials than it was made for are added.

    Raises:
        BadInput: a study of that name is about something else, or of another version.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # every trial would be a line
    pruner = pruner or optuna.pruners.NopPruner()
    try:
        study = optuna.create_study(storage=storage, study_name=name, sampler=sampler,
                                    pruner=pruner, directions=list(directions))
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name, sampler=sampler,
                                  pruner=pruner)
        _check(study, name, identity)
    else:
        study.set_user_attr(_SCHEMA, SCHEMA)
        study.set_user_attr(_IDENTITY, identity)
        _issue(study, starts, 0, trials)
    issued = _issued(study)
    if issued < trials:
        _issue(study, starts, issued, trials)
    return study


def _check(study: Study, name: str, identity: str) -> None:
    """Wait until the maker has written what it is about, and compare."""
    until = time.monotonic() + _PATIENCE_S
    while _TICKETS not in (attrs := study.user_attrs):
        if time.monotonic() > until:
            break
        if not attrs and study.get_trials(deepcopy=False):
            break  # somebody else's study
        time.sleep(_PAUSE_S)
    if attrs.get(_SCHEMA) != SCHEMA:
        what = attrs.get(_SCHEMA, "no")
        raise BadInput(f"the study '{name}' has {what} schema of this search, which writes "
                       f"{SCHEMA}: give another --study name")
    if attrs.get(_IDENTITY) != identity:
        raise BadInput(f"the study '{name}' is about another model, data, space, budget or seed: "
                       "give another --study name, or the same settings")


def _issued(study: Study) -> int:
    tickets = {trial.user_attrs.get(TICKET, -1) for trial in study.get_trials(deepcopy=False)}
    return max(tickets, default=-1) + 1


def _issue(study: Study, starts: Sequence[tuple[str, Choice]], first: int, last: int) -> None:
    """Enqueue trials with tickets from *first* to *last*."""
    for ticket in range(first, last):
        attrs: dict[str, Any] = {TICKET: ticket}
        if ticket < len(starts):
            origin, choice = starts[ticket]
            attrs |= {ORIGIN: origin, CHOICE: packed_choice(choice)}
        study.enqueue_trial({}, user_attrs=attrs)
    study.set_user_attr(_TICKETS, last)
