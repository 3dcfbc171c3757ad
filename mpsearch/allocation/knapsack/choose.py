"""Which inner loops to use: compiled ones where they pay for the import of numba."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from mpsearch.allocation.knapsack import meeting, plain, walk

_COMPILED = "mpsearch.allocation.knapsack.compiled"
_MEETING = "mpsearch.allocation.knapsack.meeting_compiled"
_WALK = "mpsearch.allocation.knapsack.walk_compiled"
_WORTH = 40_000  # candidates from which on compiled loops make up for the import of numba


def kernels(size: int) -> ModuleType:
    """`compiled` for tables of a large *size* (candidates) where numba is installed.

    Once it is loaded, for all tables. Both give the same results.
    """
    if _COMPILED not in sys.modules and (size < _WORTH or find_spec("numba") is None):
        return plain
    return import_module(_COMPILED)


def loops(size: int) -> ModuleType:
    """`meeting` or `meeting_compiled`, by the same rule."""
    return meeting if kernels(size) is plain else import_module(_MEETING)


def walks(loops: ModuleType) -> ModuleType:
    """`walk` or `walk_compiled`, to go with these *loops*."""
    return walk if loops is plain else import_module(_WALK)
