"""What a search knows before it measures, from an allocation problem and a table of scores."""

from __future__ import annotations

import math

import numpy as np

from mpsearch import plugins
from mpsearch.allocation.problem import Problem
from mpsearch.core.types import ScoreTable, SearchSpace
from mpsearch.nas.landscape import Floats, Landscape
from mpsearch.steps.units import units_of


def landscape_of(problem: Problem, losses: ScoreTable, space: SearchSpace) -> Landscape:
    """*problem* of *losses* with an exact allocator, interactions and standard errors if known."""
    return Landscape(
        problem=problem, units=units_of(space), allocate=plugins.load("allocator", "ilp")(),
        factor=np.array(losses.factor) if losses.factor else None, spread=_spread(losses))


def _spread(losses: ScoreTable) -> Floats | None:
    """As `Landscape` says; without scores of single samples, groups err independently."""
    if len(losses.samples) > 1:
        samples = np.array(losses.samples, dtype=np.float64)
        apart = (samples - samples.mean(0)) / math.sqrt(len(samples) * (len(samples) - 1))
        return np.asarray(np.linalg.qr(apart, mode="r"))
    if losses.stderr is None:
        return None
    ends = np.cumsum([0, *map(len, losses.stderr)])
    found = np.zeros((len(losses.stderr), ends[-1]))
    for group, row in enumerate(losses.stderr):
        found[group, ends[group]:ends[group + 1]] = row
    return found
