"""Imports from a folder that is not on the path, for a while."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let imports also find the modules that stand in *folder*, for the time being."""
    entry = str(folder)
    if entry in sys.path:
        yield
        return
    sys.path.insert(0, entry)  # first, as Python does for a script
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)
