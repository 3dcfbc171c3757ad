"""A search on the measured model: from the integer program's choice to the best one found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from mpsearch.core.errors import BadInput
from mpsearch.nas.loop import Worker
from mpsearch.nas.race import Race, Rungs, best_of
from mpsearch.nas.record import REASON, Record, records
from mpsearch.nas.schedules import schedule, seeded
from mpsearch.nas.storage import storage_of
from mpsearch.nas.study import opened
from mpsearch.nas.task import Measure, Task
from mpsearch.nas.winner import band
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.choice import totals_of, uniform_choices
from mpsearch.steps.compare import Comparison
from mpsearch.steps.course import Course
from mpsearch.steps.landscapes import landscape_of
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.search_plan import SearchPlan
from mpsearch.steps.session import Session
from mpsearch.steps.trial_data import SearchData, search_data
from mpsearch.steps.trials import trial_runner
from mpsearch.workspace import digest

ALLOCATED, UNIFORM = "allocated", "uniform "
"""How the origins of trials begin that a search starts with."""

@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search found: every trial, the *best* one, and the *start* it is compared with.

    That is the allocated choice; in a cold search the best uniform one.
    *against* is the paired difference of the two on the samples that decided, with an interval that
    counts that the best one was picked out of so many *candidates*; *allocation* the integer
    program's, with the best choice in place of its own.
    """

    plan: SearchPlan
    records: tuple[Record, ...]
    start: Record
    best: Record
    against: Comparison
    candidates: int
    shared: bool
    samples: int
    allocation: Allocation
    failures: tuple[str, ...] = ()
    study: str = ""
    storage: str = ""
    interrupted: bool = False

    @property
    def begun(self) -> tuple[Record, ...]:
        """The trials that the search began with."""
        return tuple(each for each in self.records
                     if each.origin == ALLOCATED or each.origin.startswith(UNIFORM))


def search(session: Session, allocation: Allocation, plan: SearchPlan,
           progress: ProgressBar) -> Searched:
    """Search within the budgets of *allocation* for the choice of least measured loss.

    The first trials are the allocated choice and every uniform one within the budgets. Interrupted,
    the best choice so far is the answer, and the same search goes on where it stopped.

    Raises:
        BadInput: a storage or study that cannot be used, or no data.
    """
    data = search_data(session, plan.samples)
    identity = identity_of(session, allocation, plan, data)
    with trial_runner(session, allocation.measured, data) as run:
        task = task_of(session, allocation, run, plan)
        ran = run_study(session, task, plan, identity, progress=progress,
                        samples=data.batches.samples)
    found = _found(ran.trials, allocation, plan, data)
    return replace(found, study=ran.name, storage=ran.storage, interrupted=ran.interrupted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A study after this worker's part: its *trials* in all, and whether it was interrupted."""

    trials: tuple[FrozenTrial, ...]
    name: str
    storage: str
    interrupted: bool


def run_study(session: Session, task: Task, plan: SearchPlan, identity: str, *,
              progress: ProgressBar, samples: int) -> Ran:
    """Make or join the study of *task*, and work on it until no ticket is left.

    Raises:
        BadInput: a storage or study that cannot be used.
    """
    name = plan.study or f"mpsearch-{identity}"
    storage = plan.storage or f"journal:{session.workspace.root / 'studies' / name}.log"
    race = plan.race and len(task.objectives) == 1
    study = opened(
        storage_of(storage), name, identity=identity,
        directions=task.directions, starts=task.starts, trials=max(plan.trials, len(task.starts)),
        sampler=seeded(plan.sampler, task.landscape, task.seed),
        pruner=Race() if race else None)
    rungs = Rungs(first=session.request.batch_size, last=samples) if race else None
    interrupted = False
    trials = max(plan.trials, len(task.starts))
    with progress(f"searching on {samples} samples", trials) as step:
        worker = Worker(study=study, task=task, rungs=rungs, told=Course(study, task, step).told,
                        proposals=schedule(plan.sampler))
        try:
            worker.run()
        except KeyboardInterrupt:
            interrupted = True
    return Ran(trials=tuple(study.get_trials(deepcopy=False)), name=name, storage=storage,
               interrupted=interrupted)


def task_of(session: Session, allocation: Allocation, run: Measure, plan: SearchPlan) -> Task:
    """What is searched: the allocation's problem, measured by *run*."""
    measured = allocation.measured
    problem = allocation.problem
    landscape = landscape_of(problem, allocation.losses, measured.record.space)
    uniform = uniform_choices(measured.record.space)
    starts = [(ALLOCATED, allocation.selection.choice)] if plan.warm else []
    starts += [(label, choice) for label, choice in uniform.items()
               if problem.meets(choice) and choice != allocation.selection.choice]
    return Task(landscape=landscape, measure=run, costs={}, starts=tuple(starts),
                seed=session.request.seed)


def identity_of(session: Session, allocation: Allocation, plan: SearchPlan,
                data: SearchData, **more: Any) -> str:
    """A digest of all that trials depend on, but for how many they are."""
    problem = allocation.problem
    return digest({"study": session.key, "estimator": allocation.estimator,
                   "budgets": [str(row.budget) for row in allocation.budgets],
                   "losses": [row.tolist() for row in problem.losses],
                   "limits": list(problem.limits), "data": data.batches.digest,
                   "sampler": plan.sampler, "race": plan.race, "warm": plan.warm,
                   "seed": session.request.seed, **more})


def _found(trials: Sequence[FrozenTrial], allocation: Allocation, plan: SearchPlan,
           data: SearchData) -> Searched:
    found = records(trials)
    inside = [each for each in found if allocation.problem.meets(each.choice)]
    best = best_of(inside)
    failures = tuple(trial.user_attrs.get(REASON, "") for trial in trials
                     if trial.state == TrialState.FAIL)
    if best is None:
        why = f": {failures[-1]}" if failures else ""
        raise BadInput(f"no trial of the search was measured to its end{why}")
    start = best_of([each for each in inside if each.origin == ALLOCATED]) or best_of(
        [each for each in inside if each.origin.startswith(UNIFORM)]) or best
    selection = replace(allocation.selection, choice=best.choice,
                        objective=allocation.problem.objective(best.choice),
                        costs=allocation.problem.spent(best.choice), status="feasible")
    apart = band(best.samples, start.samples, [
        each.samples for each in inside
        if each.samples and each.ticket not in {best.ticket, start.ticket}])
    return Searched(
        plan=plan, records=tuple(found), best=best, start=start, candidates=apart.trials,
        against=Comparison(difference=apart.difference, low=apart.low, high=apart.high),
        shared=data.shared, samples=data.batches.samples, failures=failures, allocation=replace(
            allocation, selection=selection,
            totals=totals_of(allocation.measured, best.choice, allocation.losses)))
