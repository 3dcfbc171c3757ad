"""A landscape of few groups whose true losses saturate and do not add up."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import optuna
import pytest

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.nas.landscape import Landscape, Unit
from mpsearch.nas.task import Outcome, Task

BITS = (2, 3, 4, 6, 8)
SAMPLES = 128


@pytest.fixture(autouse=True, scope="session")
def quiet():
    """Optuna tells of every trial otherwise."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def network(seed=0, blocks=4, per=3, budget=3.5):
    rng = np.random.default_rng(seed)
    groups = blocks * per
    size = rng.choice([1.0, 2.0, 4.0], groups)
    sensitivity = np.exp(rng.normal(0, 1.0, groups)) * size
    alone = np.array([[s * 4.0**-b * np.exp(rng.normal(0, 0.2)) for b in BITS]
                      for s in sensitivity])
    meet = rng.normal(0, 1, (groups, 4))
    meet = meet @ meet.T / 4
    np.fill_diagonal(meet, 0)

    def loss(choice):
        own = alone[np.arange(groups), list(choice)]
        together = own.sum() + 0.3 * np.sqrt(own) @ meet @ np.sqrt(own)
        return float(1 - np.exp(-3 * max(together, 1e-9)))

    costs = np.array([[b * s for b in BITS] for s in size])
    problem = Problem(losses=tuple(1 - np.exp(-3 * alone)), costs=(tuple(costs),),
                      limits=(budget * size.sum(),), metrics=("size",),
                      groups=tuple(f"b{i // per}.l{i % per}" for i in range(groups)))
    units = (*(Unit(name=f"b{i}", groups=tuple(range(i * per, i * per + per)))
               for i in range(blocks)),
             *(Unit(name=f"l{i}", groups=tuple(range(i, groups, per))) for i in range(per)))
    landscape = Landscape(problem=problem, units=units,
                          allocate=plugins.load("allocator", "ilp")())
    return SimpleNamespace(landscape=landscape, loss=loss, groups=groups)


@pytest.fixture(scope="session")
def net():
    return network()


@pytest.fixture(scope="session")
def task_of():
    """A task on a network: its samples have a spread of their own and little noise."""
    def make(net, *, objectives=("loss",), measured=None, seed=0, **more):
        spread = np.random.default_rng(5).lognormal(0, 0.7, SAMPLES)
        spread /= spread.mean()

        def measure(choice, go_on):
            if measured is not None:
                measured.append(choice)
            noise = np.random.default_rng(list(choice)).normal(0, 0.1, SAMPLES)
            samples = net.loss(choice) * spread * np.exp(noise - noise.mean())
            for end in range(16, SAMPLES, 16):
                if not go_on(samples[:end].tolist()):
                    return Outcome(samples=tuple(samples[:end]), complete=False)
            return Outcome(samples=tuple(samples))

        problem = net.landscape.problem
        starts = (("allocated", net.landscape.placed(net.landscape.scores)),
                  ("uniform W2", (0,) * net.groups), ("uniform W3", (1,) * net.groups))
        return Task(**{"landscape": net.landscape, "measure": measure, "seed": seed,
                       "objectives": objectives, "starts": starts,
                       "costs": {"size": lambda choice: problem.cost(0, choice)}, **more})
    return make
