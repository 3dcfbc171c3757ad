"""One worker of a study on a made-up network, as a process of its own.

``worker.py STORAGE STUDY TRIALS PAUSE LOG COUNT``: every choice it measures is a line of LOG. It
begins when COUNT workers are there.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import numpy as np
import optuna

from mpsearch.allocation.problem import Problem
from mpsearch.allocation.selection import Selection
from mpsearch.nas.landscape import Landscape, Unit
from mpsearch.nas.loop import Worker
from mpsearch.nas.proposals import Prices, Refit, Scattered, Thompson
from mpsearch.nas.samplers import MAKERS, Seeded
from mpsearch.nas.storage import storage_of
from mpsearch.nas.study import opened
from mpsearch.nas.task import Outcome, Task

GROUPS, BITS, SAMPLES = 12, (2, 3, 4, 6), 16
PROPOSALS = (("refit", Refit()), ("thompson", Thompson()), ("prices", Prices()),
             ("scattered", Scattered()))


def task(pause=0.0, seed=0, told=lambda _choice: None):
    """A network of 12 layers whose losses add up, nearly."""
    rng = np.random.default_rng(7)
    scores = [np.exp(rng.normal()) * 4.0 ** -np.array(BITS) for _ in range(GROUPS)]
    costs = [np.array(BITS, dtype=float) for _ in range(GROUPS)]
    problem = Problem(losses=tuple(scores), costs=(tuple(costs),), limits=(3.5 * GROUPS,),
                      metrics=("size",))
    units = tuple(Unit(name=f"b{i}", groups=(2 * i, 2 * i + 1)) for i in range(GROUPS // 2))
    land = Landscape(problem=problem, units=units, allocate=cheapest)

    def measure(choice, go_on):
        told(choice)
        time.sleep(pause)
        digest = hashlib.sha256(repr(choice).encode()).digest()
        own = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        loss = sum(row[at] for row, at in zip(scores, choice, strict=True))
        samples = loss * np.exp(own.normal(0, 0.2, SAMPLES))
        go_on(samples.tolist())
        return Outcome(samples=tuple(samples.tolist()))

    starts = tuple((f"uniform {b}", (i,) * GROUPS) for i, b in enumerate(BITS[:2]))
    return Task(landscape=land, measure=measure, costs={}, starts=starts, seed=seed)


def cheapest(problem):
    """Greedy: the best exchange of loss for bits, until the limit."""
    choice = [0] * len(problem.losses)
    while True:
        steps = [(float(row[at] - row[at + 1]) / (BITS[at + 1] - BITS[at]), g)
                 for g, (row, at) in enumerate(zip(problem.losses, choice, strict=True))
                 if at + 1 < len(BITS) and problem.cost(0, tuple(
                     c + (k == g) for k, c in enumerate(choice))) <= problem.limits[0]]
        if not steps or max(steps)[0] <= 0:
            break
        choice[max(steps)[1]] += 1
    picked = tuple(choice)
    return Selection(choice=picked, objective=problem.objective(picked),
                     bound=0.0, costs=problem.spent(picked), status="feasible")


def study_of(storage, name, trials, work, identity="made up"):
    """The study of *work*."""
    return opened(storage, name, identity=identity, directions=work.directions,
                  starts=work.starts, trials=trials, sampler=Seeded(MAKERS["tpe"], work.seed),
                  pruner=None)


def main(storage, name, trials, pause, log, count):
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def told(choice):
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()} {choice}\n")

    work = task(float(pause), told=told)
    study = study_of(storage_of(storage), name, int(trials), work)
    log = Path(log)
    log.with_suffix(f".{os.getpid()}").touch()
    while len(list(log.parent.glob(f"{log.stem}.*"))) < int(count):
        time.sleep(0.02)
    Worker(study=study, task=work, proposals=PROPOSALS).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
