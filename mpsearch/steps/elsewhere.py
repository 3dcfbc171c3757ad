"""Batches of one choice run side by side, wherever joblib's backend has its workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from mpsearch.core.errors import BadInput, MpsearchError
from mpsearch.nas.landscape import Choice
from mpsearch.steps.batch_runs import BatchRuns, Judged
from mpsearch.steps.measure import Measured
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session
from mpsearch.steps.trial_data import search_data
from mpsearch.workspace import digest

_MADE: dict[str, BatchRuns] = {}
"""What this process made to run batches with: of one study at a time, as models are large."""
_TURN = threading.Lock()


def several(batches: int) -> bool:
    """Whether joblib is set to more than one process, and there is work for them."""
    backend, _ = get_active_backend()
    return min(effective_n_jobs(None), batches) > 1 and not getattr(
        backend, "supports_sharedmem", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What another process makes its own model and data from: at most *samples* to judge by.

    *digest* is that of the batches here. Captured graphs do not pickle, so they are made anew.
    """

    session: Session
    record: StudyRecord
    samples: int
    digest: str

    @property
    def key(self) -> str:
        """A digest of all that results depend on."""
        return digest({"study": self.session.key, "data": self.digest})

    def made(self) -> BatchRuns:
        """What runs batches in this process.

        Raises:
            BadInput: the data is not what it is where the search runs.
        """
        batches = search_data(self.session, self.samples).batches
        if batches.digest != self.digest:
            raise BadInput("a worker of joblib reads other data than the search does: give all "
                           "machines the same files")
        return BatchRuns(self.session, Measured(key=self.session.key, record=self.record), batches)


class Elsewhere:
    """Runs all *batches* of a choice, several at once, and gives them in order.

    A process is sent the recipe when it says that it lacks it: once, not with every batch.
    """

    def __init__(self, recipe: Recipe, batches: int) -> None:
        self._recipe, self._key, self._batches = recipe, recipe.key, batches
        self._jobs = effective_n_jobs(None)
        self._parallel: Any = Parallel()

    def __enter__(self) -> Self:
        self._parallel.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._parallel.__exit__(kind, error, trace)

    def all(self, choice: Choice, best: Choice | None) -> Iterator[Judged]:
        """Every batch in turn; what lies before a place where a trial may end runs together.

        Raises:
            BadInput: an output that is not finite, or other data there.
        """
        done = 0
        while done < self._batches:
            end = min(until(done, self._jobs), self._batches)
            for found in self._window(choice, best, range(done, end)):
                if isinstance(found, MpsearchError):
                    raise found
                yield found
            done = end

    def _window(self, choice: Choice, best: Choice | None,
                indices: Sequence[int]) -> list[Judged | MpsearchError]:
        found = dict(zip(indices, self._asked(None, choice, best, indices), strict=True))
        lacking = [index for index, each in found.items() if each is None]
        if lacking:
            found |= zip(lacking, self._asked(self._recipe, choice, best, lacking), strict=True)
        return [each for each in found.values() if each is not None]

    def _asked(self, recipe: Recipe | None, choice: Choice, best: Choice | None,
               indices: Sequence[int]) -> list[Judged | MpsearchError | None]:
        return list(self._parallel(delayed(_remote)(self._key, recipe, choice, best, index)
                                   for index in indices))


def until(done: int, jobs: int) -> int:
    """The batch before which the next ones to run together end: twice as many each time.

    Trials are judged after 1, 2, 4, 8 … batches. Between two of these nothing that runs is for
    nothing; before the first that is not below *jobs*, processes would have nothing else to do.
    """
    end = 1
    while end <= done or end < jobs:
        end *= 2
    return end


def _remote(key: str, recipe: Recipe | None, choice: Choice, best: Choice | None,
            index: int) -> Judged | MpsearchError | None:
    """One batch, run in this process; None where it needs the recipe first.

    An error is an answer too: raised here, it would end all workers.
    """
    with _TURN:
        try:
            if key not in _MADE:
                if recipe is None:
                    return None
                _MADE.clear()
                _MADE[key] = recipe.made()
            return _MADE[key](choice, best, index)
        except MpsearchError as error:
            return BadInput(str(error))
