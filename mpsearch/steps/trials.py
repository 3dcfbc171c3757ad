"""Choices of schemes measured on the samples that a search may see."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mpsearch.nas.landscape import Choice
from mpsearch.nas.task import GoOn, Outcome
from mpsearch.steps.batch_runs import BatchRuns, Judged
from mpsearch.steps.measure import Measured
from mpsearch.steps.session import Session
from mpsearch.steps.trial_data import SearchData

Pieces = Callable[[Choice, Choice | None], Iterator[Judged]]
"""The batches of a choice in order, with the best choice before it."""


class TrialRunner:
    """Measures choices on so many *samples*, of which *pieces* gives the batches."""

    def __init__(self, pieces: Pieces, samples: int) -> None:
        self._pieces, self._samples = pieces, samples
        self._best: Choice | None = None
        self._least = math.inf

    def __call__(self, choice: Choice, go_on: GoOn) -> Outcome:
        """The losses of *choice*, batch by batch, while *go_on* says so.

        Raises:
            BadInput: an output that is not finite.
        """
        samples: list[float] = []
        right: list[float] = []
        for judged in self._pieces(choice, self._best):
            samples += judged.samples
            right += judged.right
            if len(samples) < self._samples and not go_on(samples):
                return Outcome(samples=tuple(samples), complete=False)
        labelled = len(right) == len(samples)
        outcome = Outcome(samples=tuple(samples),
                          accuracy=sum(right) / len(right) if labelled else None)
        if outcome.loss < self._least:
            self._least, self._best = outcome.loss, choice
        return outcome


@contextmanager
def trial_runner(session: Session, measured: Measured, data: SearchData) -> Iterator[TrialRunner]:
    """Measures choices of *measured* on *data*, in as many processes as joblib is set to.

    The losses are the same however many these are.
    """
    from mpsearch.steps.elsewhere import Elsewhere, Recipe, several

    batches = data.batches
    if not several(len(batches)):
        yield TrialRunner(BatchRuns(session, measured, batches).all, batches.samples)
        return
    recipe = Recipe(session=session, record=measured.record, samples=data.asked,
                    digest=batches.digest)
    with Elsewhere(recipe, len(batches)) as run:
        yield TrialRunner(run.all, batches.samples)
