"""Score tables and costs for a request, taken from the workspace where they are finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session
from mpsearch.workspace import digest

ProgressBar = Callable[[str, int], Any]
"""Opens a bar with a title and a total; the result is a context that takes steps."""

_NEEDS_NO_DATA = "weights"  # the engine that never runs the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The record and score tables of a request, and how many units were measured anew."""

    key: str
    record: StudyRecord
    tables: Mapping[str, ScoreTable]
    new_units: int
    resumed_units: int

    def costs(self) -> dict[str, ScoreTable]:
        """Every cost of the space, by name."""
        return {name: plugins.load("cost", name)(self.record.space)
                for name in plugins.names("cost")}


def measure(session: Session, estimators: Sequence[str], progress: ProgressBar) -> Measured:
    """Score every group and scheme with the named *estimators*.

    What the workspace holds is not measured again; if it holds all, no model is loaded.

    Raises:
        BadInput: anything wrong with the model, data or space; an estimator that needs data and
            has none.
    """
    objects = {name: plugins.load("estimator", name)() for name in estimators}
    key, workspace = session.key, session.workspace
    record = workspace.load("studies", key, StudyRecord)
    tables = {name: workspace.load("tables", table_key(key, name, objects[name]), ScoreTable)
              for name in estimators}
    missing = [name for name, table in tables.items() if table is None]
    new = resumed = 0
    if record is None or missing:
        record, found, new, resumed = _measure(
            session, {name: objects[name] for name in missing}, progress)
        tables.update(found)
    return Measured(key=key, record=record, new_units=new, resumed_units=resumed,
                    tables={name: table for name, table in tables.items() if table is not None})


def table_key(study_key: str, name: str, estimator: Any) -> str:
    """Key of one estimator's table within a study."""
    return digest({"study": study_key, "estimator": name, "settings": asdict(estimator)})


def _measure(session: Session, estimators: Mapping[str, Any],
             progress: ProgressBar) -> tuple[StudyRecord, dict[str, ScoreTable], int, int]:
    from mpsearch.fakequant.threads import threads_for
    from mpsearch.steps.prepare import prepare

    with progress("loading and capturing the model", 1) as step:
        _require_data(session, estimators)
        study, record = prepare(session)
        step(1)
    key, workspace = session.key, session.workspace
    tables: dict[str, ScoreTable] = {}
    new = resumed = 0
    for engine in dict.fromkeys(estimator.engine for estimator in estimators.values()):
        chosen = {name: e for name, e in estimators.items() if e.engine == engine}
        run = plugins.load("engine", engine)()
        ledgers = {name: workspace.ledger(table_key(key, name, chosen[name])) for name in chosen}
        done = sum(ledger.resumed for ledger in ledgers.values())
        total = run.units(study) * len(chosen)
        with (progress(f"measuring {', '.join(chosen)}", total) as step,
              threads_for(macs=session.captured.macs(session.request.batch_size))):
            found = run.measure(chosen, study, ledgers, step)
        for name, table in found.items():
            workspace.save("tables", table_key(key, name, chosen[name]), table)
            ledgers[name].close()
        tables.update(found)
        new, resumed = new + total - done, resumed + done
    return record, tables, new, resumed


def _require_data(session: Session, estimators: Mapping[str, Any]) -> None:
    hungry = [name for name, each in estimators.items() if each.engine != _NEEDS_NO_DATA]
    # The model is looked up first: a wrong name is the better thing to hear about.
    if session.loaded and hungry and not session.has_data:
        raise BadInput(f"{', '.join(hungry)} needs data: give --data (an image folder, a CSV, an "
                       ".npz or package.module:function), or use weight_error")
