"""Fronts: the predicted curve from saved tables, and a handful of measured points on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from mpsearch import plugins
from mpsearch.allocate.front import front as solve_front
from mpsearch.allocate.problem import Problem
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.core.types import ScoreTable
from mpsearch.report.front import Front, FrontPoint, LayerBits, MeasuredPoint
from mpsearch.spaces import load_space
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.choice import Choice, runnable, schemes_of, totals_of, uniform_choices
from mpsearch.steps.measure import Measured, ProgressBar
from mpsearch.steps.measurement import measure_policies
from mpsearch.steps.request import Request
from mpsearch.steps.session import Session
from mpsearch.steps.verify import ALLOCATED, Candidate, Verification

_HANDFUL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPlan:
    """How many budgets to solve between floor and ceiling, and which of them to measure.

    *budgets* (bits per weight) are measured where *measure* is set; by default a handful, evenly
    spaced. Uniform policies are measured too.
    """

    points: int = 25
    measure: bool = True
    budgets: tuple[float, ...] = ()

    @classmethod
    def of(cls, points: int, measure: bool, budgets: Sequence[str]) -> Self:
        """A plan from texts such as ``4.5bpw``.

        Raises:
            BadInput: fewer than two points, or a budget that is not in bits per weight.
        """
        if points < 2:  # noqa: PLR2004
            raise BadInput(f"a front needs at least 2 points, not {points}")
        parsed = [Budget.parse(text) for text in budgets]
        for budget in parsed:
            if budget.metric != "bits_per_weight":
                raise BadInput(f"a front is drawn over bits per weight: give {budget} as bpw")
        return cls(points=points, measure=measure, budgets=tuple(b.limit for b in parsed))


def sweep(session: Session, measured: Measured, estimator: str, allocator: str, plan: FrontPlan,
          progress: ProgressBar) -> Front:
    """Solve every budget of *plan* and measure its handful, with the uniform policies."""
    losses = measured.tables[estimator]
    chosen = _solved(measured, losses, allocator, plan)
    handful = _handful(measured, losses, chosen, plan) if plan.measure else {}
    uniform = uniform_choices(measured.record.space) if plan.measure else {}
    points = _measured(session, measured, losses, handful, uniform, progress)
    return Front(
        model=session.request.model, estimator=estimator, unit=losses.unit,
        space=load_space(session.request.space).name, measured=points,
        predicted=tuple(_point(measured, losses, choice) for choice in chosen),
        layers=_strip(measured, handful or dict(_few(measured, losses, chosen))))


def front_of(request: Request, allocation: Allocation, verification: Verification) -> Front:
    """The front behind one answered budget: the curve, the policy, and the uniform ones."""
    measured, losses = allocation.measured, allocation.losses
    chosen = _solved(measured, losses, str(allocation.allocator["name"]), FrontPlan())
    candidates = (verification.allocated, *verification.uniform)
    shown = {verification.winner.label: verification.winner.choice,
             ALLOCATED: verification.allocated.choice}
    return Front(
        model=request.model, estimator=allocation.estimator, unit=losses.unit,
        space=load_space(request.space).name, chosen=verification.winner.label,
        predicted=tuple(_point(measured, losses, choice) for choice in chosen),
        measured=tuple(_measured_point(candidate) for candidate in candidates),
        layers=_strip(measured, shown))


def _solved(measured: Measured, losses: ScoreTable, allocator: str,
            plan: FrontPlan) -> list[Choice]:
    """The distinct best choices over evenly spaced sizes, and at the budgets asked for."""
    size = measured.costs()["size"]
    problem = Problem.from_tables(losses, [size], [math.inf])
    low, high = problem.floor(0), problem.ceiling(0)
    wanted = [bits * measured.record.space.weights for bits in plan.budgets]
    limits = sorted({*np.linspace(low, high, plan.points).tolist(),
                     *(limit for limit in wanted if low <= limit <= high)})
    solve = plugins.load("allocator", allocator)()
    return [selection.choice for selection in solve_front(problem, 0, limits, solve)]


def _handful(measured: Measured, losses: ScoreTable, chosen: Sequence[Choice],
             plan: FrontPlan) -> dict[str, Choice]:
    if not plan.budgets:
        return dict(_few(measured, losses, chosen))
    found = {}
    for bits in plan.budgets:
        fitting = [choice for choice in chosen
                   if totals_of(measured, choice, losses).bits_per_weight <= bits]
        if fitting:
            best = min(fitting, key=losses.total)
            found[_label(measured, losses, best)] = best
    return found


def _few(measured: Measured, losses: ScoreTable,
         chosen: Sequence[Choice]) -> list[tuple[str, Choice]]:
    """A handful of *chosen*, evenly spaced, without the two ends (all cheapest, all dearest)."""
    inner = list(chosen[1:-1]) or list(chosen)
    places = sorted({round(place) for place in np.linspace(0, len(inner) - 1, _HANDFUL)})
    return [(_label(measured, losses, inner[place]), inner[place]) for place in places]


def _label(measured: Measured, losses: ScoreTable, choice: Choice) -> str:
    return f"{totals_of(measured, choice, losses).bits_per_weight:.2f} bpw"


def _measured(session: Session, measured: Measured, losses: ScoreTable,
              handful: dict[str, Choice], uniform: dict[str, Choice],
              progress: ProgressBar) -> tuple[MeasuredPoint, ...]:
    choices = {**handful, **uniform}
    found = measure_policies(session, {label: runnable(measured, choice)
                                       for label, choice in choices.items()}, progress)
    return tuple(_measured_point(Candidate(
        label=label, choice=choice, measurement=found[label],
        totals=totals_of(measured, choice, losses)), uniform=label in uniform)
        for label, choice in choices.items())


def _measured_point(candidate: Candidate, *, uniform: bool | None = None) -> MeasuredPoint:
    is_uniform = candidate.label != ALLOCATED if uniform is None else uniform
    return MeasuredPoint(
        label=candidate.label, bits_per_weight=candidate.totals.bits_per_weight,
        file_bytes=candidate.totals.file_bytes, predicted_loss=candidate.totals.predicted_loss,
        evaluation=candidate.measurement.evaluation,
        kind="uniform" if is_uniform else "allocated")


def _point(measured: Measured, losses: ScoreTable, choice: Choice) -> FrontPoint:
    totals = totals_of(measured, choice, losses)
    return FrontPoint(bits_per_weight=totals.bits_per_weight, size_bits=totals.size_bits,
                      file_bytes=totals.file_bytes, predicted_loss=totals.predicted_loss)


def _strip(measured: Measured, choices: dict[str, Choice]) -> LayerBits:
    space = measured.record.space
    return LayerBits.of({label: schemes_of(space, choice) for label, choice in choices.items()},
                        [layer.name for layer in space.layers])
