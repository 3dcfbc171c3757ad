"""What an engine is, and how its work is done: the missing units only, here or in parallel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Protocol

from joblib import Parallel, delayed, effective_n_jobs

from mpsearch.core.types import ScoreTable
from mpsearch.sensitivity.study import Ledger, Progress, Rows, Study

Note = Callable[[str, str, Rows], None]
"""Takes the name of an estimator, a finished unit of its work, and the rows found."""
Todo = Mapping[str, Sequence[str]]
"""The units that are missing, in order, each with the estimators that lack it."""
_TASKS_A_JOB = 4


class Estimator(Protocol):
    """Settings of one score: a frozen dataclass. Its engine says what else it must have.

    *rides_along* says that it costs next to nothing in a pass made for another estimator.
    """

    engine: ClassVar[str]
    unit: ClassVar[str]
    rides_along: ClassVar[bool]


class Engine(Protocol):
    """Makes the score tables of all estimators of one kind, in shared passes."""

    def units(self, study: Study, estimator: Any) -> list[str]:
        """The pieces of work of one estimator, in the order in which they are done best."""
        ...

    def work(self, study: Study, estimators: Mapping[str, Any], todo: Todo, note: Note) -> None:
        """Do what is missing, and *note* every unit as soon as it is finished.

        A unit's rows may not depend on which other units are in *todo*.
        """
        ...

    def table(self, name: str, estimator: Any, study: Study,
              rows: Mapping[str, Rows]) -> ScoreTable:
        """The scores of one estimator, from the rows of all its units."""
        ...


class Portable:
    """A study that crosses to another process as the *recipe* it is made from.

    Captured graphs do not pickle. Where the work stays in this process, the study itself is used.
    """

    _made: ClassVar[dict[str, Study]] = {}

    def __init__(self, study: Study, recipe: Callable[[], Study] | None = None,
                 key: str = "") -> None:
        self.recipe, self.key = recipe, key
        self._study: Study | None = study

    @property
    def study(self) -> Study:
        """The study: given, or made once in this process."""
        if self._study is not None:
            return self._study
        if self.key not in self._made:
            assert self.recipe is not None  # noqa: S101 - only sent away with a recipe
            self._made.clear()  # one study at a time: models are large
            self._made[self.key] = self.recipe()
        return self._made[self.key]

    def __getstate__(self) -> dict[str, Any]:
        return {"recipe": self.recipe, "key": self.key, "_study": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Estimators of one engine, the study they score, and the ledgers of what is finished."""

    engine: Engine
    estimators: Mapping[str, Any]
    study: Study
    ledgers: Mapping[str, Ledger]
    portable: Portable | None = None


def measure(job: Job, progress: Progress) -> dict[str, ScoreTable]:
    """Do the missing units, noting each as it is finished, and make the tables.

    With more than one worker (`joblib.parallel_config`), units are handed out in runs: to
    processes here, or wherever joblib's backend sends them.
    """
    units = {name: job.engine.units(job.study, estimator)
             for name, estimator in job.estimators.items()}
    todo: dict[str, list[str]] = {}
    for name, own in units.items():
        for unit in own:
            if job.ledgers[name].get(unit) is None:
                todo.setdefault(unit, []).append(name)
    progress(sum(map(len, units.values())) - sum(map(len, todo.values())))

    def note(name: str, unit: str, rows: Rows) -> None:
        job.ledgers[name].put(unit, rows)
        progress(1)

    if todo:
        _work(job, todo, note)
    return {name: job.engine.table(name, estimator, job.study,
                                   {unit: job.ledgers[name].get(unit) or []
                                    for unit in units[name]})
            for name, estimator in job.estimators.items()}


def _work(job: Job, todo: Todo, note: Note) -> None:
    jobs = effective_n_jobs(None)
    if jobs == 1 or job.portable is None or job.portable.recipe is None:
        job.engine.work(job.study, job.estimators, todo, note)
        return
    tasks = (delayed(_remote)(job.engine, job.estimators, job.portable, part)
             for part in _parts(todo, _TASKS_A_JOB * jobs))
    for pieces in Parallel(return_as="generator_unordered")(tasks):
        for piece in pieces:
            note(*piece)


def _remote(engine: Engine, estimators: Mapping[str, Any], portable: Portable,
            todo: Todo) -> list[tuple[str, str, Rows]]:
    found: list[tuple[str, str, Rows]] = []
    engine.work(portable.study, estimators, todo,
                lambda name, unit, rows: found.append((name, unit, rows)))
    return found


def _parts(todo: Todo, count: int) -> list[dict[str, Sequence[str]]]:
    """Runs of neighbouring units, of nearly equal length."""
    units = list(todo)
    count = min(count, len(units))
    cuts = [len(units) * i // count for i in range(count + 1)]
    return [{unit: todo[unit] for unit in units[a:b]} for a, b in pairwise(cuts)]
