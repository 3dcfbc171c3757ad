"""A trial as this search reads and writes it: a choice in one attribute, and what it lost."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from mpsearch.nas.landscape import Choice, Integers

TICKET, CHOICE, ORIGIN, SAMPLES, WORKER, REASON, RETRY = (
    "ticket", "choice", "origin", "samples", "worker", "reason", "retry_of")
"""Names of a trial's attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One trial that has a choice.

    *ticket* is its place in the order of proposals. *samples* are the losses known, all of them
    where *state* is COMPLETE. *values* are those of the objectives.
    """

    number: int
    ticket: int
    choice: Choice
    origin: str
    state: TrialState
    samples: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def complete(self) -> bool:
        """Whether it was measured to the end."""
        return self.state == TrialState.COMPLETE

    @property
    def loss(self) -> float:
        """The mean loss of the samples that are known."""
        return sum(self.samples) / len(self.samples)


def records(trials: Iterable[FrozenTrial]) -> list[Record]:
    """The trials that have a choice, by ticket."""
    return sorted((_record(trial) for trial in trials if CHOICE in trial.user_attrs),
                  key=lambda each: (each.ticket, each.number))


def packed_choice(choice: Sequence[int]) -> str:
    """A choice as text."""
    return ",".join(map(str, choice))


def packed_samples(samples: Sequence[float]) -> str:
    """Losses as text, in float32."""
    return base64.b64encode(np.array(samples, dtype="<f4").tobytes()).decode()


def arrays(found: Sequence[Record]) -> tuple[Integers, Any]:
    """Choices [N, groups] of *found*, and their losses as they are estimated to the end.

    A trial that ended early is set against the best complete one on the same samples: its loss is
    that one's, times the ratio of the two on what both have seen.
    """
    complete = [each for each in found if each.complete and each.samples]
    choices = [each.choice for each in complete]
    losses = [each.loss for each in complete]
    if complete:
        best = min(complete, key=lambda each: each.loss)
        for each in found:
            if each.state == TrialState.PRUNED and each.samples:
                shared = best.samples[: len(each.samples)]
                choices.append(each.choice)
                losses.append(best.loss * each.loss / max(sum(shared) / len(shared), 1e-12))
    return np.array(choices, dtype=np.intp), np.array(losses)


def _record(trial: FrozenTrial) -> Record:
    attrs = trial.user_attrs
    raw = base64.b64decode(attrs.get(SAMPLES, ""))
    return Record(
        number=trial.number, ticket=int(attrs.get(TICKET, trial.number)),
        choice=tuple(map(int, attrs[CHOICE].split(","))), origin=attrs.get(ORIGIN, ""),
        state=trial.state, samples=tuple(np.frombuffer(raw, dtype="<f4").tolist()),
        values=tuple(trial.values or ()))
