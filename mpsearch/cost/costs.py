"""The costs there are, by name.

They are no plug-ins: a budget must know a cost's unit and a policy its total, so that a new one is
more than a function.
"""

from __future__ import annotations

from collections.abc import Callable

from mpsearch.core.types import ScoreTable, SearchSpace
from mpsearch.cost.bops import bops
from mpsearch.cost.size import size

COSTS: dict[str, Callable[[SearchSpace], ScoreTable]] = {"size": size, "bops": bops}
