"""Inner loops that numba compiles, where it is installed and pays for its import."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """The *function*, compiled at its first call and kept between runs; it frees other threads."""
    return cast("_F", import_module("numba").njit(cache=True, nogil=True)(function))


def loops(plain: ModuleType, name: str, *, worth: bool) -> ModuleType:
    """The module *name* of compiled loops where it is loaded, or *worth* it and numba is installed.

    Else *plain*. Both give the same results, to the bit.
    """
    if name in sys.modules or (worth and find_spec("numba") is not None):
        return import_module(name)
    return plain
