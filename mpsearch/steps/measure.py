"""Score tables and costs for a request, taken from the workspace where they are finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable
from mpsearch.cost.costs import COSTS
from mpsearch.spaces import load_space
from mpsearch.steps.costing import Costing
from mpsearch.steps.devices import costing_of
from mpsearch.steps.record import StudyRecord
from mpsearch.steps.session import Session
from mpsearch.steps.tables import load_table, save_table, table_key, without_samples

if TYPE_CHECKING:
    from mpsearch.sensitivity.study import Study

ProgressBar = Callable[[str, int], Any]
"""Opens a bar with a title and a total; the result is a context that takes steps."""

_NEEDS_NO_DATA = "weights"  # the engine that never runs the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """How many units of work were measured now, and how many an interrupted run had left."""

    new: int = 0
    resumed: int = 0


@dataclass(frozen=True, kw_only=True)  # no slots: the costs are computed once and kept
class Measured:
    """The record and score tables of a request, and how many units were measured anew."""

    key: str
    record: StudyRecord
    tables: Mapping[str, ScoreTable] = field(default_factory=dict)
    new_units: int = 0
    resumed_units: int = 0
    costing: Costing | None = None

    def costs(self) -> dict[str, ScoreTable]:
        """Every cost of the space that a budget can limit, by name."""
        return self._costs

    @cached_property
    def _costs(self) -> dict[str, ScoreTable]:
        return {**{name: cost(self.record.space) for name, cost in COSTS.items()},
                **(self.costing.tables() if self.costing else {})}


def measure(session: Session, estimators: Sequence[str], progress: ProgressBar, *,
            samples: bool = False, device: str | None = None,
            check: Callable[[Measured], object] = lambda _: None) -> Measured:
    """Score every group and scheme with the named *estimators*.

    What the workspace holds is not measured again; if it holds all, no model is loaded. The tables
    have the scores of single *samples* only where these are asked for. *check* sees the record and
    costs before anything is measured, and may raise. Without estimators only the space is resolved
    and activations are calibrated. *device* names whose times are to be known too.

    Raises:
        BadInput: anything wrong with the model, data or space, or an estimator needs data and has
            none.
        Unsupported: *device* lacks times of something that the model runs.
    """
    estimators = list(dict.fromkeys(plugins.canonical("estimator", each) for each in estimators))
    objects = {name: plugins.make("estimator", name) for name in estimators}
    key, workspace = session.key, session.workspace
    record = workspace.load("studies", key, StudyRecord)
    tables = {name: load_table(workspace, table_key(key, name, objects[name]), samples=samples)
              for name in estimators}
    require_whole_runs(session.request.space, objects)
    missing = {name: objects[name] for name, table in tables.items() if table is None}
    costing = None if record is None else costing_of(session, record, device)
    fresh = record is None or costing is None
    if record is not None and costing is not None and missing:
        check(Measured(key=key, record=record, costing=costing))
    found: dict[str, ScoreTable] = {}
    done = Units()
    if record is None or costing is None or missing:
        _require_data(session, missing)
        record, study = _prepared(session, progress)
        costing = costing_of(session, record, device)
        if fresh:
            check(Measured(key=key, record=record, costing=costing))
        found, done = _measure(session, study, missing, progress)
    known = {name: table for name, table in tables.items() if table is not None}
    found = found if samples else {name: without_samples(each) for name, each in found.items()}
    return Measured(key=key, record=record, tables={**known, **found}, new_units=done.new,
                    resumed_units=done.resumed, costing=costing)


def require_data(session: Session, estimators: Sequence[str]) -> None:
    """Check that there is data for the named *estimators*, and to run a policy on.

    Raises:
        BadInput: there is none, or the model is not there either.
    """
    if not session.has_data:
        _require_data(session, {name: plugins.make("estimator", name) for name in estimators})
        session.evaluation  # noqa: B018 - says what needs the data


def require_whole_runs(space: str, estimators: Mapping[str, Any]) -> None:
    """Check that *estimators* can score what leaves parts of the network out.

    Raises:
        BadInput: *space* has subnets, and one of them looks at single layers.
    """
    if not load_space(space).subnets:
        return
    for name, each in estimators.items():
        if not getattr(each, "needs_outputs", False):
            raise BadInput(f"{name} scores layers one by one, and a [[subnet]] leaves out parts of "
                           "several: use one that runs the network, such as kl_probe")


def _prepared(session: Session, progress: ProgressBar) -> tuple[StudyRecord, Study]:
    from mpsearch.steps.prepare import prepare

    with progress("loading and capturing the model", 1) as step:
        study, record = prepare(session)
        step(1)
    return record, study


def _measure(session: Session, study: Study, estimators: Mapping[str, Any],
             progress: ProgressBar) -> tuple[dict[str, ScoreTable], Units]:
    tables: dict[str, ScoreTable] = {}
    new = resumed = 0
    for engine in dict.fromkeys(estimator.engine for estimator in estimators.values()):
        asked = {name: each for name, each in estimators.items() if each.engine == engine}
        found, done = _pass(session, study, asked, engine, progress)
        tables.update(found)
        new, resumed = new + done.new, resumed + done.resumed
    return tables, Units(new=new, resumed=resumed)


def _pass(session: Session, study: Study, asked: Mapping[str, Any], engine: str,
          progress: ProgressBar) -> tuple[dict[str, ScoreTable], Units]:
    """One engine's pass: *asked*, and what costs next to nothing beside it."""
    from mpsearch.fakequant.threads import threads_for
    from mpsearch.sensitivity.engine import Job, Portable
    from mpsearch.sensitivity.engine import measure as run
    from mpsearch.steps.prepare import again

    key, workspace = session.key, session.workspace
    chosen = {**asked, **_companions(session, engine, asked)}
    keys = {name: table_key(key, name, each) for name, each in chosen.items()}
    ledgers = {name: workspace.ledger(keys[name]) for name in chosen}
    made = plugins.load("engine", engine)()
    job = Job(engine=made, estimators=chosen, study=study, ledgers=ledgers,
              portable=Portable(study, partial(again, session), key))
    total = sum(len(made.units(study, each)) for each in chosen.values())
    with (progress(f"measuring {', '.join(asked)}", total) as step,
          threads_for(macs=session.captured.macs(session.request.batch_size))):
        found = run(job, step)
    for name, table in found.items():
        save_table(workspace, keys[name], table)
        ledgers[name].close()
    own = {name: ledgers[name].resumed for name in asked}
    units = {name: len(made.units(study, asked[name])) for name in asked}
    return ({name: found[name] for name in asked},
            Units(new=sum(units.values()) - sum(own.values()), resumed=sum(own.values())))


def _companions(session: Session, engine: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Estimators that ride along in this engine's pass, where they were not measured before."""
    found: dict[str, Any] = {}
    for name in plugins.BUILTIN["estimator"]:
        each = plugins.make("estimator", name)
        if each.engine == engine and each.rides_along and name not in asked and (
                load_table(session.workspace, table_key(session.key, name, each)) is None):
            found[name] = each
    return found


def _require_data(session: Session, estimators: Mapping[str, Any]) -> None:
    hungry = [name for name, each in estimators.items() if each.engine != _NEEDS_NO_DATA]
    # The model is looked up first: a wrong name is the better thing to hear about.
    if session.loaded and hungry and not session.has_data:
        raise BadInput(f"{', '.join(hungry)} needs data: give --data (an image folder, a CSV, an "
                       ".npz or package.module:function), or use weight_error")
