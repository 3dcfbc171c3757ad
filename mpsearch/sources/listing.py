"""Image files with their labels and splits, before any of them is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpsearch.sources.division import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One entry an image; *labels* and *splits* are None where the source does not give them."""

    where: str
    files: tuple[Path, ...]
    labels: tuple[int, ...] | None = None
    splits: tuple[Split, ...] | None = None
