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
from mpsearch.nas.record import TICKET
from mpsearch.nas.samplers import Seeded
from mpsearch.nas.task import Direction
from mpsearch.nas.tickets import issue

SCHEMA = 1
_ABOUT, _TICKETS = "mpsearch.study", "mpsearch.tickets"
_PATIENCE_S = 30.0
"""So long the maker of a study may take to say what it is about."""
_STALL_S = 3.0
"""After so long without a new ticket, whoever gave them out is taken for dead."""
_PAUSE_S = 0.1


def opened(storage: BaseStorage, name: str, *, identity: str, directions: Sequence[Direction],
           starts: Sequence[tuple[str, Choice]], trials: int, sampler: Seeded,
           pruner: BasePruner | None) -> Study:
    """The study called *name*, with *trials* tickets: made, or joined where it exists.

    *identity* is a digest of all that its trials depend on. The first tickets are for *starts*,
    which have an origin each. More trials than it was made for are added.

    Raises:
        BadInput: no trials, or a study of that name is about something else or of another version.
    """
    if trials < 1:
        raise BadInput(f"a search needs at least 1 trial, not {trials}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # every trial would be a line
    kind: dict[str, Any] = {"storage": storage, "study_name": name, "sampler": sampler,
                            "pruner": pruner or optuna.pruners.NopPruner()}
    about = {"schema": SCHEMA, "identity": identity}
    try:
        study = optuna.create_study(**kind, directions=list(directions))
    except DuplicatedStudyError:
        study = optuna.load_study(**kind)
        _check(study, name, about)
    else:
        study.set_user_attr(_TICKETS, trials)
        study.set_user_attr(_ABOUT, about)
        issue(study, range(trials), starts)
    _issue(study, starts, trials)
    return study


def _check(study: Study, name: str, about: dict[str, Any]) -> None:
    """Wait until the maker has written what the study is about, and compare."""
    until = time.monotonic() + _PATIENCE_S
    while _ABOUT not in (attrs := study.user_attrs):
        if attrs.keys() - {_TICKETS} or study.get_trials(deepcopy=False):
            attrs = study.user_attrs  # its maker may have written all of it in between
            break  # or it is somebody else's study
        if time.monotonic() > until:  # its maker died
            study.set_user_attr(_ABOUT, about)
        time.sleep(_PAUSE_S)
    found = attrs.get(_ABOUT, {})
    if found.get("schema") != SCHEMA:
        raise BadInput(f"the study '{name}' has schema {found.get('schema', 'none')} and this "
                       f"search writes {SCHEMA}: give another --study name")
    if found.get("identity") != about["identity"]:
        raise BadInput(f"the study '{name}' is about another model, data, space, budget or seed: "
                       "give another --study name, or the same settings")


def _issue(study: Study, starts: Sequence[tuple[str, Choice]], trials: int) -> None:
    """Give out the tickets below *trials* that are missing, unless another worker is doing so.

    Of several who begin at once, the one whose first ticket came first goes on.
    """
    count, since = -1, 0.0
    while missing := _missing(study, trials):
        announced = study.user_attrs.get(_TICKETS, 0)
        present, now = trials - len(missing), time.monotonic()
        if present != count:
            count, since = present, now
        mine = missing[0] >= announced or now - since > _STALL_S
        if mine:
            if announced < trials:
                study.set_user_attr(_TICKETS, trials)
            mine = issue(study, missing, starts)
        if not mine:
            time.sleep(_PAUSE_S)


def _missing(study: Study, trials: int) -> list[int]:
    """The tickets below *trials* that no trial ever had."""
    there = {trial.user_attrs.get(TICKET) for trial in study.get_trials(deepcopy=False)}
    return [ticket for ticket in range(trials) if ticket not in there]
