"""One run of one method: what it measured, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.front import front
from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput
from mpsearch.nas.record import records
from mpsearch.steps.allocate import allocate
from mpsearch.steps.choice import totals_of
from mpsearch.steps.progress import silent
from mpsearch.steps.search import run_study, task_of
from mpsearch.steps.search_front import front_task
from mpsearch.steps.search_plan import SearchPlan

MARKS = (50, 100, 200, 300)
"""Numbers of evaluations after which a method is judged."""
METHODS = {
    "loop": ("loop", True), "swaps": ("swaps", True), "tpe warm": ("tpe", True),
    "nsga2 warm": ("nsga2", True), "linas": ("linas", True), "tpe cold": ("tpe", False),
    "nsga2 cold": ("nsga2", False), "random": ("random", False)}
"""The sampler of each, and whether it begins with the integer program's answers."""
ALONE = "ilp alone"
ESTIMATOR = "kl_probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network with its scores, and what tells how good a choice is on the search samples."""

    session: object
    measured: object
    evaluations: object
    samples: int

    @property
    def losses(self):
        return self.measured.tables[ESTIMATOR]

    def bits(self, choice):
        """Bits per weight, scales and padding included."""
        return totals_of(self.measured, choice, self.losses).bits_per_weight


def ran(subject, kind, method, seed, trials=MARKS[-1]):
    """The records of a search: *kind* is ``front``, or a budget such as ``3.0bpw``."""
    sampler, warm = METHODS[method]
    plan = SearchPlan(trials=trials, samples=subject.samples, sampler=sampler, race=False,
                      warm=warm, storage="memory")
    task = (front_task(subject.measured, ESTIMATOR, ("loss", "size"), subject.evaluations,
                       warm=warm, seed=seed) if kind == "front" else
            replace(task_of(subject.session, allocated(subject, kind), subject.evaluations, plan),
                    seed=seed))
    found = run_study(subject.session, task, plan, f"{kind} {method} {seed}", progress=silent,
                      samples=subject.samples)
    return records(found.trials)


def allocated(subject, budget):
    return allocate(subject.measured, ESTIMATOR, [Budget.parse(budget)])


def front_run(subject, method, seed):
    """Points [evaluations so far, bits per weight, loss, choice] that nothing before them beats."""
    points = [(subject.bits(each.choice), each.loss, each.choice)
              for each in ran(subject, "front", method, seed)]
    return {"trials": len(points), "distinct": len({choice for _, _, choice in points}),
            "points": improving(points)}


def improving(points):
    kept, archive = [], []
    for count, (bits, loss, choice) in enumerate(points, 1):
        if not any(b <= bits and k <= loss for b, k in archive):
            archive = [(b, k) for b, k in archive if not (bits <= b and loss <= k)]
            archive.append((bits, loss))
            kept.append([count, round(bits, 6), float(f"{loss:.6g}"), list(choice)])
    return kept


def front_alone(subject, seed):
    """The integer program's front at as many points, evenly in size, as there are evaluations."""
    del seed  # it draws nothing
    problem = allocated(subject, "8.0bpw").problem
    limits = np.linspace(problem.floor(0), problem.ceiling(0), MARKS[-1]).tolist()
    exact = front(problem.limited(0, problem.ceiling(0)), 0, limits,
                  plugins.load("allocator", "ilp")())
    points = [(subject.bits(each.choice), subject.evaluations(each.choice).loss, each.choice)
              for each in exact]
    found = {}
    for count in MARKS:
        places = np.unique(np.linspace(0, len(points) - 1, min(count, len(points))).round())
        own = [points[int(place)] for place in places]
        found[str(count)] = [[len(own), *each[1:]] for each in improving(own)]
    return {"trials": len(points), "by_mark": found}


def budget_run(subject, budget, method, seed):
    """By mark the best choice within the *budget* and its loss on the search samples."""
    problem = allocated(subject, budget).problem
    found = ran(subject, budget, method, seed)
    marks = {}
    for mark in MARKS:
        inside = [each for each in found[:mark] if problem.meets(each.choice)]
        if inside:
            best = min(inside, key=lambda each: each.loss)
            marks[str(mark)] = {"loss": best.loss, "choice": list(best.choice),
                                "origin": best.origin}
    return {"trials": len(found), "distinct": len({each.choice for each in found}),
            "by_mark": marks}


def budget_alone(subject, budget, seed):
    del seed
    choice = allocated(subject, budget).selection.choice
    return {"trials": 1, "by_mark": {str(mark): {
        "loss": subject.evaluations(choice).loss, "choice": list(choice), "origin": ALONE}
        for mark in MARKS}}


def one(subject, kind, method, seed):
    """The run of *method* as numbers.

    Raises:
        BadInput: an unknown method.
    """
    if method == ALONE:
        return front_alone(subject, seed) if kind == "front" else budget_alone(subject, kind, seed)
    if method not in METHODS:
        raise BadInput(f"'{method}' is no method: use {', '.join([ALONE, *METHODS])}")
    return (front_run(subject, method, seed) if kind == "front"
            else budget_run(subject, kind, method, seed))
