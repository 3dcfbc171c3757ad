"""Entry points of installed packages, by which plug-ins announce themselves."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def _installed() -> Any:
    # Reads every installed package's metadata: once for all kinds, and not for a built-in name.
    from importlib.metadata import entry_points

    return entry_points()


def announced(kind: str) -> dict[str, str]:
    """Places, ``module:attribute``, of the plug-ins in the group ``mpsearch.KIND``, by name."""
    return {point.name: point.value for point in _installed().select(group=f"mpsearch.{kind}")}


def imported(place: str) -> Any:
    """The object at *place*, ``module:attribute``."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
