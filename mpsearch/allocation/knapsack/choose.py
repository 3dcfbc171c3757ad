"""Which inner loops to use: compiled ones where they pay for the import of numba."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from mpsearch.allocation.knapsack import plain

_WORTH = 40_000  # candidates and budgets from which on compiled loops make up for their import


def kernels(size: int) -> ModuleType:
    """`compiled` where numba is installed and *size*, the numbers in the table, is large."""
    if size < _WORTH or find_spec("numba") is None:
        return plain
    return import_module("mpsearch.allocation.knapsack.compiled")
