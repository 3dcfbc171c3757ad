"""A search for a whole front: measured loss against any costs, from the exact front on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.front import front
from mpsearch.allocation.problem import Problem
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.types import ScoreTable
from mpsearch.nas.landscape import Choice
from mpsearch.nas.record import Record, records
from mpsearch.nas.task import ACCURACY, LOSS, Measure, Task
from mpsearch.report.search_front import SearchFront, SearchFrontPoint
from mpsearch.steps.choice import (
    left_out,
    runnable,
    schemes_of,
    totals_of,
    uniform_choices,
)
from mpsearch.steps.dominated import dominated
from mpsearch.steps.landscapes import landscape_of
from mpsearch.steps.measure import Measured, ProgressBar
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.search import run_study
from mpsearch.steps.search_plan import SearchPlan
from mpsearch.steps.session import Session
from mpsearch.steps.trial_data import search_data
from mpsearch.steps.trials import trial_runner
from mpsearch.workspace import digest

_STARTS = 12
"""Points of the exact front that the search begins with."""
COSTS = {"size": "bits_per_weight", "bops": "bops", "latency": "latency_ms"}
"""Objectives that are costs, and the totals that say what they come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A front to search: its *problem*, tables of its *costs*, and what it begins with."""

    problem: Problem
    measured: Measured
    losses: ScoreTable
    costs: tuple[str, ...]

    def cost(self, name: str) -> Callable[[Choice], float]:
        """What a choice comes to, in the unit of its total."""
        return lambda choice: float(getattr(totals_of(self.measured, choice, self.losses),
                                            COSTS[name]) or 0.0)


def search_front(session: Session, measured: Measured, estimator: str,
                 objectives: Sequence[str], *, plan: SearchPlan,
                 progress: ProgressBar, verify: bool = True) -> SearchFront:
    """The trials that no other one beats in all *objectives*, judged again on held-out samples.

    Without *verify* they are not judged again.

    Raises:
        BadInput: objectives that are unknown or no front, or a study that cannot be used.
        Unsupported: latency without a device.
    """
    asked = _asked(measured, estimator, objectives)
    data = search_data(session, plan.samples)
    identity = digest({"study": session.key, "estimator": estimator, "front": list(objectives),
                       "losses": asked.losses.values, "limits": list(asked.problem.limits),
                       "data": data.batches.digest, "sampler": plan.sampler, "warm": plan.warm,
                       "seed": session.request.seed})
    with trial_runner(session, measured, data) as run:
        task = _task(asked, objectives, run, warm=plan.warm, seed=session.request.seed)
        ran = run_study(session, task, plan, identity, progress=progress,
                        samples=data.batches.samples)
    found = [each for each in records(ran.trials) if each.complete]
    if not found:
        raise BadInput("no trial of the search was measured to its end")
    made = _front(session, asked, task, found, progress if verify else None)
    return replace(made, samples=data.batches.samples, shared=data.shared, study=ran.name,
                   storage=ran.storage, interrupted=ran.interrupted)


def front_task(measured: Measured, estimator: str, objectives: Sequence[str], measure: Measure,
               *, warm: bool, seed: int) -> Task:
    """What a front of *objectives* is searched by, with choices measured by *measure*.

    It begins with every uniform choice, and if *warm* with points of the exact front.

    Raises:
        BadInput: objectives that are unknown or no front.
        Unsupported: latency without a device.
    """
    return _task(_asked(measured, estimator, objectives), objectives, measure, warm=warm,
                 seed=seed)


def _task(asked: _Asked, objectives: Sequence[str], measure: Measure, *, warm: bool,
          seed: int) -> Task:
    return Task(
        landscape=landscape_of(asked.problem, asked.losses, asked.measured.record.space),
        measure=measure, objectives=tuple(objectives),
        costs={name: asked.cost(name) for name in asked.costs},
        starts=_starts(asked, warm=warm), seed=seed)


def _asked(measured: Measured, estimator: str, objectives: Sequence[str]) -> _Asked:
    known = measured.costs()
    costs = tuple(name for name in objectives if name not in {LOSS, ACCURACY})
    if not costs or len(costs) == len(objectives):
        raise BadInput("a front needs what is measured and what it costs: give --objective loss "
                       f"(or accuracy) and one or more of {', '.join(COSTS)}")
    for name in costs:
        if name not in COSTS:
            raise BadInput(f"'{name}' is no objective of a front: use {LOSS}, {ACCURACY}, "
                           f"{', '.join(COSTS)}")
        if name not in known:
            raise Unsupported(f"the objective {name} needs a device: name a --device, or run "
                              "mpsearch profile")
    losses = measured.tables[estimator]
    tables = [known[name] for name in costs]
    limits = [math.fsum(max(row) for row in table.values) for table in tables]
    return _Asked(problem=Problem.from_tables(losses, tables, limits), measured=measured,
                  losses=losses, costs=costs)


def _starts(asked: _Asked, *, warm: bool) -> tuple[tuple[str, Choice], ...]:
    """Points of the exact front over the first cost, and every uniform choice."""
    problem = asked.problem
    limits = np.linspace(problem.floor(0), problem.ceiling(0), _STARTS).tolist()
    exact = front(problem, 0, limits, plugins.load("allocator", "ilp")()) if warm else []
    found = {each.choice: f"allocated {k}" for k, each in enumerate(exact)}
    for label, choice in uniform_choices(asked.measured.record.space).items():
        found.setdefault(choice, label)
    return tuple((label, choice) for choice, label in found.items())


def _front(session: Session, asked: _Asked, task: Task, found: Sequence[Record],
           progress: ProgressBar | None) -> SearchFront:
    front = dominated(task, found)
    kept = [found[i] for i in front.kept]
    held_out = {} if progress is None else measure_policies(
        session, {str(each.ticket): runnable(asked.measured, each.choice) for each in kept},
        progress)
    evaluations: Mapping[str, float] = {
        ticket: each.evaluation.kl for ticket, each in held_out.items()}
    return SearchFront(
        model=session.request.model, objectives=task.objectives, trials=len(found),
        hypervolume=front.hypervolume, started=front.started,
        reference=front.reference,
        points=tuple(sorted((SearchFrontPoint(
            ticket=each.ticket, origin=each.origin, choice=each.choice, values=each.values,
            loss=each.loss, held_out=evaluations.get(str(each.ticket)),
            totals=totals_of(asked.measured, each.choice, asked.losses),
            left_out=left_out(schemes_of(asked.measured.record.space, each.choice)))
            for each in kept),
            key=lambda point: point.totals.size_bits)),
        others=tuple(each.values for each in found))
