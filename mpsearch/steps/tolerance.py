"""Accuracy first: the smallest policy whose measured loss stays within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput, Infeasible, Unsupported
from mpsearch.core.tolerance import Tolerance, Tolerated
from mpsearch.cost.energy import PICOJOULES
from mpsearch.cost.latency import PICOSECONDS
from mpsearch.steps.allocate import Allocation
from mpsearch.steps.bisection import smallest
from mpsearch.steps.choice import Choice, runnable, totals_of
from mpsearch.steps.limits import Row, row_of, rows
from mpsearch.steps.measure import Measured, ProgressBar
from mpsearch.steps.measurement import Measurement, Split, measure_policies
from mpsearch.steps.relaxed import require_together
from mpsearch.steps.session import Session

POINTS = 256
"""Limits between the least and the greatest cost that the search tells apart."""
_COSTS = ("size", "bops", "latency", "energy")
_SPLITS = ("calibration", "evaluation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to stay within, which cost to make small, and which samples decide.

    Held-out samples (``evaluation``) that decide cannot verify any more: what is measured on them
    afterwards is too good, the more so the fewer they are.

    Raises:
        BadInput: a cost that is no cost, or samples that there are none of.
    """

    tolerance: Tolerance
    minimise: str = "size"
    judge: str = "calibration"

    def __post_init__(self) -> None:
        if self.minimise not in _COSTS:
            raise BadInput(f"cannot minimise '{self.minimise}': choose {', '.join(_COSTS)}")
        if self.judge not in _SPLITS:
            raise BadInput(f"'{self.judge}' samples cannot judge: choose calibration or evaluation")

    @property
    def split(self) -> Split:
        """The samples that decide."""
        return "evaluation" if self.judge == "evaluation" else "calibration"


def tolerate(session: Session, measured: Measured, estimator: str, budgets: Sequence[Budget],
             wanted: Wanted, *, allocator: str, progress: ProgressBar) -> Allocation:
    """The allocation of least cost whose policy, when run, loses no more than is tolerated.

    Bisection over the predicted front within *budgets*: each step solves one limit and runs the
    answer. What ran before, in this search or another one, is taken from the workspace.

    Raises:
        Infeasible: not even the dearest policy within the budgets stays within the tolerance, or
            there is none.
        Unsupported: scores that do not compare between layers, and so give no front.
        BadInput: a tolerance on accuracy without labels.
    """
    losses = measured.tables[estimator]
    if len(set(losses.families)) > 1:
        raise Unsupported(f"the scores of {estimator} compare within a family of layers only: a "
                          "tolerance needs another estimator")
    limited = rows(budgets, measured)
    cost = measured.costs().get(wanted.minimise)
    if cost is None:
        raise BadInput(f"no {wanted.minimise} is known to be made small: name a --device")
    problem = Problem.from_tables(losses, [cost, *(row.table for row in limited)],
                                  [math.inf, *(row.limit for row in limited)])
    solve = plugins.load("allocator", allocator)()
    search = _Search(session=session, measured=measured, problem=problem, solve=solve,
                     wanted=wanted, budgets=limited, progress=progress)
    selection = search.answer()
    row = row_of(_exactly(measured, wanted.minimise, selection.costs[0]), measured)
    return Allocation(
        measured=measured, estimator=estimator, budgets=(row, *limited),
        allocator={"name": allocator, **asdict(solve)}, selection=selection,
        problem=problem.limited(0, row.limit),
        totals=totals_of(measured, selection.choice, losses), tolerated=search.told(selection))


@dataclass(kw_only=True)
class _Search:
    """One search: limits are solved, and choices run, as the bisection asks for them."""

    session: Session
    measured: Measured
    problem: Problem
    solve: Any
    wanted: Wanted
    budgets: Sequence[Row]
    progress: ProgressBar
    ran: dict[Choice, Measurement] = field(default_factory=dict)
    solved: dict[int, Selection] = field(default_factory=dict)

    def answer(self) -> Selection:
        limits = np.linspace(self.problem.floor(0), self.problem.ceiling(0), POINTS).tolist()
        place = smallest(POINTS, lambda index: self._passes(index, limits[index]))
        if place is None:
            raise self._out_of_reach()
        return self.solved[place]

    def told(self, selection: Selection) -> Tolerated:
        asked, evaluation = self.wanted.tolerance, self.ran[selection.choice].evaluation
        return Tolerated(
            tolerance=str(asked), metric=asked.metric, limit=asked.limit,
            reached=asked.loss(evaluation), minimised=self.wanted.minimise,
            split=self.wanted.judge, samples=evaluation.samples, policies=len(self.ran))

    def _passes(self, index: int, limit: float) -> bool:
        try:
            selection = self.solve(self.problem.limited(0, limit))
        except Infeasible:  # so little of this cost leaves too much of another one
            if index == POINTS - 1:
                require_together(self.budgets)  # says which to raise, and how far
                raise
            return False
        self.solved[index] = selection
        return self._loss(selection.choice) <= self.wanted.tolerance.limit

    def _loss(self, choice: Choice) -> float:
        if choice not in self.ran:
            found = measure_policies(self.session, {"policy": runnable(self.measured, choice)},
                                     self.progress, split=self.wanted.split)
            self.ran[choice] = found["policy"]
        return self.wanted.tolerance.loss(self.ran[choice].evaluation)

    def _out_of_reach(self) -> Infeasible:
        last = self.solved[POINTS - 1]
        loss, samples = self._loss(last.choice), self.ran[last.choice].evaluation.samples
        unit = " nats" if self.wanted.tolerance.metric == "kl" else " of top-1"
        return Infeasible(
            f"no policy stays within the tolerance {self.wanted.tolerance}: the best one within "
            f"reach loses {loss:.4g}{unit} on {samples} {self.wanted.judge} samples; allow more, "
            "or offer dearer schemes")


def _exactly(measured: Measured, cost: str, total: float) -> Budget:
    """What a policy costs, as a budget that it just meets."""
    weights = measured.record.space.weights
    if cost == "bops":
        return Budget(metric="bops", limit=total, text=f"{total!r}BOPs")
    if cost in {"latency", "energy"}:
        return _exactly_of_a_run(measured, cost, total)
    if not weights:
        raise BadInput("a space without weights has no size to minimise: minimise bops")
    return Budget(metric="bits_per_weight", limit=total / weights, text=f"{total / weights!r}bpw")


def _exactly_of_a_run(measured: Measured, cost: str, total: float) -> Budget:
    """The same for a cost that the rest of the graph adds to."""
    costing = measured.costing
    if cost == "energy" and costing is not None:
        spent = total / PICOJOULES + costing.energy.fixed / PICOJOULES
        return Budget(metric="energy_mj", limit=spent, text=f"{spent!r}mJ")
    if costing is None or costing.latency is None:
        raise BadInput("no times are known: name a --device to minimise latency on")
    taken = total / PICOSECONDS + costing.latency.fixed / PICOSECONDS
    return Budget(metric="latency_ms", limit=taken, text=f"{taken!r}ms")
