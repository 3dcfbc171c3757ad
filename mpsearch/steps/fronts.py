"""Fronts: the predicted curve from saved tables, and a handful of measured points on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.report.front import Front, MeasuredPoint
from mpsearch.steps.choice import Choice, runnable, uniform_choices
from mpsearch.steps.curve import Curve
from mpsearch.steps.limits import rows
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.measurement import Measurement, measure_policies
from mpsearch.steps.session import Session
from mpsearch.steps.verify import ALLOCATED, Verification

_HANDFUL = 6
_FEWEST = 2
_METRICS = {"size": "bits_per_weight", "latency": "latency_ms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPlan:
    """How many budgets to solve between floor and ceiling, and which of them to measure.

    It is swept *over* ``size`` or ``latency``. *budgets* (bits per weight, or times) are measured
    where *measure* is set; by default a handful, evenly spaced. Uniform policies are measured too.

    Raises:
        BadInput: fewer than two points.
    """

    points: int = 25
    measure: bool = True
    budgets: tuple[Budget, ...] = ()
    over: Literal["size", "latency"] = "size"

    def __post_init__(self) -> None:
        if self.over not in _METRICS:
            raise BadInput(f"a front is swept over size or latency, not '{self.over}'")
        if self.points < _FEWEST:
            raise BadInput(f"a front needs at least {_FEWEST} points, not {self.points}")
        for budget in self.budgets:
            if budget.metric != _METRICS[self.over]:
                wanted = "bits per weight" if self.over == "size" else "milliseconds"
                raise BadInput(f"a front is drawn over {wanted}: give {budget} as "
                               f"{'bpw' if self.over == 'size' else 'ms'}")

    @classmethod
    def of(cls, points: int, measure: bool, budgets: list[str], over: Any = "size") -> Self:
        """A plan from texts such as ``4.5bpw``.

        Raises:
            BadInput: fewer than two points, or a budget in another unit than the front's.
        """
        return cls(points=points, measure=measure, over=over,
                   budgets=tuple(Budget.parse(text) for text in budgets))


def sweep(session: Session, curve: Curve, plan: FrontPlan, progress: ProgressBar) -> Front:
    """Solve every budget of *plan* and measure its handful, with the uniform policies.

    Raises:
        Infeasible: a budget of the plan is below the floor.
    """
    asked = rows(plan.budgets, curve.measured)
    chosen = curve.solve(plan.points, [row.limit for row in asked])
    handful = _handful(curve, chosen, plan)
    points: tuple[MeasuredPoint, ...] = ()
    if plan.measure:
        uniform = uniform_choices(curve.measured.record.space)
        found = _run(session, curve, {**handful, **uniform}, progress)
        points = (*(curve.measured_point(label, choice, found[label], kind="allocated")
                    for label, choice in handful.items()),
                  *(curve.measured_point(label, choice, found[label], kind="uniform")
                    for label, choice in uniform.items()))
    return curve.front(session.request, chosen, points, strip=handful)


def front_of(session: Session, curve: Curve, verification: Verification) -> Front:
    """The front behind one answered budget: the *curve*, the policy, and the uniform ones."""
    points = [curve.measured_point(
        candidate.label, candidate.choice, candidate.measurement,
        kind="allocated" if candidate.label == ALLOCATED else "uniform")
        for candidate in (verification.allocated, *verification.uniform)]
    winner, allocated = verification.winner, verification.allocated
    return curve.front(session.request, curve.solve(FrontPlan().points), points,
                       strip={winner.label: winner.choice, ALLOCATED: allocated.choice},
                       chosen_label=winner.label)


def _handful(curve: Curve, chosen: list[Choice], plan: FrontPlan) -> dict[str, Choice]:
    """The choices to measure, by label: those of the plan's budgets, or a few of the curve."""
    if not plan.budgets:
        # Not the two ends, where everything is at its cheapest or dearest.
        inner = chosen[1:-1] or chosen
        places = {round(place) for place in np.linspace(0, len(inner) - 1, _HANDFUL)}
        return {curve.label(inner[place]): inner[place] for place in sorted(places)}
    fitting = ([choice for choice in chosen if (
        getattr(curve.totals(choice), _METRICS[plan.over]) <= budget.limit)]
               for budget in plan.budgets)
    best = [min(choices, key=curve.losses.total) for choices in fitting if choices]
    return {curve.label(choice): choice for choice in best}


def _run(session: Session, curve: Curve, choices: Mapping[str, Choice],
         progress: ProgressBar) -> dict[str, Measurement]:
    return measure_policies(session, {label: runnable(curve.measured, choice)
                                      for label, choice in choices.items()}, progress)
