"""Which inner loops to use: compiled ones where they pay for the import of numba."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mpsearch.allocation.knapsack import meeting, plain, walk
from mpsearch.core import loops as choice

_COMPILED = "mpsearch.allocation.knapsack.compiled"
_MEETING = "mpsearch.allocation.knapsack.meeting_compiled"
_WALK = "mpsearch.allocation.knapsack.walk_compiled"
_WORTH = 40_000  # candidates from which on compiled loops make up for the import of numba


def kernels(size: int) -> ModuleType:
    """`compiled` for tables of a large *size* (candidates) where numba is installed.

    Once it is loaded, for all tables. Both give the same results.
    """
    return choice.loops(plain, _COMPILED, worth=size >= _WORTH)


def loops(size: int) -> ModuleType:
    """`meeting` or `meeting_compiled`, by the same rule."""
    return meeting if kernels(size) is plain else import_module(_MEETING)


def walks(loops: ModuleType) -> ModuleType:
    """`walk` or `walk_compiled`, to go with these *loops*."""
    return walk if loops is plain else import_module(_WALK)
