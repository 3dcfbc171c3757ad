"""Choices that differ from a good one in a few groups."""

from __future__ import annotations

import numpy as np

from mpsearch.nas.landscape import Choice, Floats, Integers, Landscape

_DRAWS = 4000
_ROUNDS = 8
_MOST = 4  # groups that change at once


def around(landscape: Landscape, choice: Choice, rng: np.random.Generator, *,
           groups: int | None = None) -> Integers:
    """Thousands of choices [N, groups] within all limits, with 1 to 4 groups changed.

    With *groups*, exactly so many were drawn (a draw may give what was there). There may be none.
    """
    count = len(choice)
    most = min(_MOST, count) if groups is None else min(groups, count)
    found = np.repeat(np.array(choice, dtype=np.intp)[None], _DRAWS, axis=0)
    rows = np.arange(_DRAWS)
    changed = rng.integers(1, most + 1, _DRAWS) if groups is None else np.full(_DRAWS, most)
    for step in range(most):
        group = rng.integers(0, count, _DRAWS)
        scheme = rng.integers(0, landscape.sizes[group])
        found[rows, group] = np.where(changed > step, scheme, found[rows, group])
    kept: Integers = np.unique(found[landscape.within(found)], axis=0)
    return kept


def fresh(choices: Integers, taken: set[Choice]) -> Integers:
    """Those of *choices* [N, groups] that nobody took."""
    new = [row for row in choices if tuple(row.tolist()) not in taken]
    return np.array(new, dtype=np.intp).reshape(-1, choices.shape[1])


def improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """How much lower than *best* a Gaussian value is expected to be, where it is lower.

    Expected improvement (Jones, Schonlau and Welch, Journal of Global Optimization 13, 1998).
    """
    from scipy.special import ndtr

    z = (best - mean) / deviation
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    found: Floats = (best - mean) * ndtr(z) + deviation * density
    return found


def start_of(landscape: Landscape, choices: Integers, values: Floats) -> Choice | None:
    """The best of *choices* by *values* that is within the limits."""
    inside = landscape.within(choices)
    if not inside.any():
        return None
    best = np.argmin(np.where(inside, values, np.inf))
    return tuple(choices[best].tolist())
