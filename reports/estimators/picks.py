"""What each estimator's integer program picks, and the policies it is held against."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.core.budget import Budget
from mpsearch.steps.allocate import allocate
from mpsearch.steps.choice import runnable
from mpsearch.steps.coupled import couple
from mpsearch.steps.measurement import measure_policies


def pick(session, measured, name, budget, bar):
    """The choice that the scores called *name* lead to within *budget*.

    ``logit_gram with interactions`` improves the additive solution by linearising the quadratic
    objective around it; ``decoupled`` divides the budget between its families.
    """
    base = name.removesuffix(" with interactions")
    allocation = allocate(measured, base, [budget])
    if base != name:
        return interacting(allocation, measured.tables[base])
    if measured.tables[base].families:
        allocation = couple(session, allocation, bar)
    return allocation.selection.choice


def interacting(allocation, table, rounds=20):
    """Solve again with each score raised by its interactions with the choice so far."""
    factor = np.asarray(table.factor) if table.factor else np.zeros((1, 1))
    sizes = [len(row) for row in table.values]
    starts = [0, *accumulate(sizes)]
    solve, problem = plugins.load("allocator", "ilp")(), allocation.problem
    best = choice = allocation.selection.choice
    for _ in range(rounds if table.factor else 0):
        columns = [start + k for start, k in zip(starts, choice, strict=False)]
        joint = factor[:, columns].sum(1)
        losses = []
        for group, row in enumerate(table.values):
            own = factor[:, starts[group]:starts[group + 1]]
            others = joint - factor[:, columns[group]]
            losses.append(np.asarray(row) + 2 * others @ own)
        trial = solve(Problem(losses=tuple(losses), costs=problem.costs, limits=problem.limits,
                              metrics=problem.metrics, groups=problem.groups)).choice
        if table.predict(trial) >= table.predict(best) * (1 - 1e-9):
            break
        best = choice = trial
    return best


def bits(limit):
    """A budget in bits per weight."""
    return Budget(metric="bits_per_weight", limit=limit, text=f"{limit!r}bpw")


def bops(measured, choice):
    """The bit operations of *choice* as a budget."""
    total = measured.costs()["bops"].total(choice)
    return Budget(metric="bops", limit=total, text=f"{total!r}BOPs")


def local_search(session, measured, starts, budget, bar, steps=100, seed=0):
    """Swaps judged by measuring on the calibration data, from the best of *starts*: the oracle.

    A step moves one group to another scheme, and where the budget asks for it another group down;
    what measures better stays.
    """
    generator = np.random.default_rng(seed)
    allocation = allocate(measured, next(iter(measured.tables)), [budget])
    problem = allocation.problem

    def losses(choices):
        found = measure_policies(session, {str(i): runnable(measured, each)
                                           for i, each in enumerate(choices)}, bar,
                                 split="calibration")
        return [found[str(i)].evaluation.kl for i in range(len(choices))]

    known = dict(zip(starts, losses(starts), strict=True))
    best = min(known, key=known.get)
    for _ in range(steps):
        trial = _move(best, problem, generator)
        if trial is None or trial in known:
            continue
        known[trial] = losses([trial])[0]
        best = min(best, trial, key=known.get)
    return best, known[best], len(known)


def _move(choice, problem, generator):
    sizes = [row.size for row in problem.losses]
    several = [group for group, size in enumerate(sizes) if size > 1]
    for _ in range(1000):
        trial = list(choice)
        for group in generator.choice(several, size=2, replace=False):
            trial[group] = int(np.clip(trial[group] + generator.choice([-1, 1]), 0,
                                       sizes[group] - 1))
        trial = tuple(trial)
        # As much of the budget as before is used, or more: cheaper is not what is looked for.
        if trial != choice and problem.meets(trial) and (
                problem.spent(trial)[0] >= 0.995 * problem.spent(choice)[0]):
            return trial
    return None
