"""A small genetic algorithm over choices, for predictions that cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpsearch.nas.landscape import Floats, Integers, Landscape, totals

Predict = Callable[[Integers], Floats]
_SIZE = 50
_GENERATIONS = 60


def evolved(landscape: Landscape, predict: Predict, rng: np.random.Generator,
            seeds: Integers) -> Integers:
    """Choices [N, groups] within the limits that *predict* to be low, lowest first.

    From the best *seeds* [N, groups] and random choices, 3000 predictions: binary tournaments,
    uniform crossover, one changed group in the mean, and the best of parents and children stay.
    What keeps to the limits is before what does not (Deb, Comput. Methods Appl. Mech. Eng. 186,
    2000).
    """
    people = np.concatenate([seeds, scattered(landscape, rng, _SIZE)])
    people, order = _sorted(landscape, predict, people)
    for _ in range(_GENERATIONS):
        first, second = (people[rng.integers(0, len(people), (2, _SIZE)).min(0)] for _ in range(2))
        children = np.where(rng.integers(0, 2, first.shape) == 0, first, second)
        changed = rng.random(children.shape) < 1 / children.shape[1]
        fresh = rng.integers(0, landscape.sizes, children.shape)
        people, order = _sorted(landscape, predict,
                                np.concatenate([people, np.where(changed, fresh, children)]))
    found: Integers = people[order == 0]
    return found


def scattered(landscape: Landscape, rng: np.random.Generator, count: int) -> Integers:
    """Random choices [count, groups]: each leans to few or to many bits of its own accord."""
    lean = rng.exponential(1.0, (count, 1)) * rng.choice([-1.0, 1.0], (count, 1))
    drawn = rng.random((count, len(landscape.sizes))) ** np.exp(lean)
    found: Integers = (drawn * landscape.sizes).astype(np.intp)
    return found


def excess(landscape: Landscape, choices: Integers) -> Floats:
    """By how much each of *choices* [N, groups] is above the limits, as a share of them."""
    found = np.zeros(len(choices))
    for table, limit in zip(landscape.costs, landscape.problem.limits, strict=True):
        found += np.maximum(totals(table, choices) - limit, 0) / max(abs(limit), 1e-12)
    return found


def _sorted(landscape: Landscape, predict: Predict, people: Integers) -> tuple[Integers, Floats]:
    """The best *people*, each once, and their excess."""
    people = np.unique(people, axis=0)
    beyond = excess(landscape, people)
    best = np.lexsort((predict(people), beyond))[:_SIZE]
    return people[best], beyond[best]
