"""Pairs of a core's candidates, less their smallest values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mpsearch.allocation.core import Core
from mpsearch.allocation.interactions import Pair


def shifted(core: Core) -> tuple[tuple[Pair, ...], float]:
    """The pairs between the candidates of *core*, none negative, and all they are less by."""
    found, lows = [], []
    for pair in core.problem.pairs:
        values = pair.values[np.ix_(core.kept[pair.first], core.kept[pair.second])]
        low = float(values.min())
        if math.isfinite(low):
            lows.append(low)
            values = values - low
        found.append(replace(pair, values=values))
    return tuple(found), math.fsum(lows)
