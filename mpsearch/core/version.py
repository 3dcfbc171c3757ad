"""Versions of installed distributions."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


@cache
def version_of(name: str) -> str:
    """The version of the distribution *name*; ``unknown`` in a checkout that was not installed."""
    try:
        return installed(name)
    except PackageNotFoundError:
        return "unknown"
