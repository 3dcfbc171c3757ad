"""Versions of installed distributions."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

_FIELD = "Version: "


@cache
def version_of(name: str) -> str:
    """The version of the distribution *name*; ``unknown`` in a checkout that was not installed."""
    return _beside(name) or _asked(name)


def _beside(name: str) -> str | None:
    """What the metadata file says, found where installers put it.

    Reading three lines is much quicker than importing the library that knows all other places.
    """
    for place in sys.path:
        for folder in Path(place).glob(f"{name}-*.dist-info"):
            return _stated(folder / "METADATA")
    return None


def _stated(metadata: Path) -> str | None:
    try:
        lines = metadata.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.removeprefix(_FIELD) for line in lines if line.startswith(_FIELD)), None)


def _asked(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name) or "unknown"  # None where the metadata is broken
    except PackageNotFoundError:
        return "unknown"
