"""A search on the measured model: from the integer program's choice to the best one found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mpsearch import plugins
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.nas.landscape import Landscape
from mpsearch.nas.loop import LOOP, Worker
from mpsearch.nas.race import Race, Rungs, best_of
from mpsearch.nas.raw import RAW
from mpsearch.nas.record import Record, records
from mpsearch.nas.samplers import Seeded, maker
from mpsearch.nas.storage import storage_of
from mpsearch.nas.study import opened
from mpsearch.nas.task import Task
from mpsearch.steps.allocate import Allocation, allocate
from mpsearch.steps.choice import totals_of, uniform_choices
from mpsearch.steps.compare import Comparison, compare
from mpsearch.steps.measure import Measured, ProgressBar
from mpsearch.steps.session import Session
from mpsearch.steps.trials import SearchData, TrialRunner, search_data
from mpsearch.steps.units import units_of
from mpsearch.workspace import digest

LOOP_NAME = "loop"
_STARTS = 12
"""Points of the exact front that a front's search begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """How a search goes: *trials* in all, judged on *samples*, kept in *storage* under *study*.

    *sampler* is ``loop``, or one of Optuna's in the raw space of one scheme a group (``tpe``,
    ``nsga2``, ``nsga3``, ``random``). With *race* a hopeless trial ends early. Without a storage,
    a journal in the workspace; without a study, one named after all that it depends on.

    Raises:
        BadInput: no trials, or an unknown sampler.
    """

    trials: int = 300
    samples: int = 256
    sampler: str = LOOP_NAME
    race: bool = True
    warm: bool = True
    storage: str | None = None
    study: str | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise BadInput(f"a search needs at least one trial, not {self.trials}")
        if self.sampler != LOOP_NAME:
            maker(self.sampler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search found: every trial, the *best* one, and the *start* it is compared with.

    *against* is the paired difference of the two on the samples that decided; *allocation* the
    integer program's, with the best choice in place of its own.
    """

    plan: SearchPlan
    study: str
    storage: str
    records: tuple[Record, ...]
    start: Record
    best: Record
    against: Comparison
    shared: bool
    samples: int
    allocation: Allocation
    failures: tuple[str, ...] = field(default=())


def search(session: Session, measured: Measured, estimator: str, budgets: Sequence[Budget],
           plan: SearchPlan, progress: ProgressBar) -> Searched:
    """Search within *budgets* for the choice of least measured loss.

    The first trials are the exact allocation and every uniform choice within the budgets.

    Raises:
        Infeasible: the budgets are out of reach.
        BadInput: a storage or study that cannot be used, or no data.
    """
    allocation = allocate(measured, estimator, budgets)
    data = search_data(session, plan.samples)
    task = task_of(session, allocation, data, plan)
    name = plan.study or f"mpsearch-{_identity(session, allocation, plan, data)}"
    storage = plan.storage or f"journal:{session.workspace.root / 'studies' / name}.log"
    last = data.batches.samples
    study = opened(
        storage_of(storage), name, identity=_identity(session, allocation, plan, data),
        directions=task.directions, starts=task.starts, trials=max(plan.trials, len(task.starts)),
        sampler=Seeded(maker("tpe" if plan.sampler == LOOP_NAME else plan.sampler), task.seed),
        pruner=Race() if plan.race else None)
    rungs = Rungs(first=session.request.batch_size, last=last) if plan.race else None
    with progress(f"searching on {last} samples", plan.trials) as step:
        step(sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)))
        Worker(study=study, task=task, rungs=rungs, told=lambda _record: step(1),
               proposals=LOOP if plan.sampler == LOOP_NAME else RAW).run()
    return _found(plan, name, storage, study.get_trials(deepcopy=False), allocation, data)


def task_of(session: Session, allocation: Allocation, data: SearchData, plan: SearchPlan) -> Task:
    """What is searched: the allocation's problem, measured on *data*."""
    measured = allocation.measured
    problem = allocation.problem
    landscape = Landscape(problem=problem, units=units_of(measured.record.space),
                          allocate=plugins.load("allocator", "ilp")())
    uniform = uniform_choices(measured.record.space)
    starts = [("allocated", allocation.selection.choice)] if plan.warm else []
    starts += [(label, choice) for label, choice in uniform.items()
               if problem.meets(choice) and choice != allocation.selection.choice]
    run = TrialRunner(session, measured, data.batches)
    return Task(landscape=landscape, measure=run, costs={}, starts=tuple(starts),
                seed=session.request.seed)


def _identity(session: Session, allocation: Allocation, plan: SearchPlan,
              data: SearchData) -> str:
    """A digest of all that trials depend on, but for how many they are."""
    problem = allocation.problem
    return digest({"study": session.key, "estimator": allocation.estimator,
                   "budgets": [str(row.budget) for row in allocation.budgets],
                   "losses": [row.tolist() for row in problem.losses],
                   "limits": list(problem.limits), "data": data.batches.digest,
                   "sampler": plan.sampler, "race": plan.race, "warm": plan.warm,
                   "seed": session.request.seed})


def _found(plan: SearchPlan, name: str, storage: str, trials: Any, allocation: Allocation,
           data: SearchData) -> Searched:
    found = records(trials)
    inside = [each for each in found if allocation.problem.meets(each.choice)]
    best, start = best_of(inside), next((each for each in inside if each.origin == "allocated"),
                                        None)
    failures = tuple(trial.user_attrs["reason"] for trial in trials if trial.state.name == "FAIL")
    if best is None:
        why = f": {failures[-1]}" if failures else ""
        raise BadInput(f"no trial of the search was measured to its end{why}")
    start = start or best
    selection = replace(allocation.selection, choice=best.choice,
                        objective=allocation.problem.objective(best.choice),
                        costs=allocation.problem.spent(best.choice), status="feasible")
    return Searched(
        plan=plan, study=name, storage=storage, records=tuple(found), best=best, start=start,
        against=compare(best.samples, start.samples), shared=data.shared,
        samples=data.batches.samples, failures=failures, allocation=replace(
            allocation, selection=selection,
            totals=totals_of(allocation.measured, best.choice, allocation.losses)))
