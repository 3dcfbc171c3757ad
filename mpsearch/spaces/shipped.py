"""The search spaces that come with the package."""

from __future__ import annotations

from pathlib import Path

FOLDER = "search_spaces"


def shipped() -> dict[str, Path]:
    """The file of every shipped search space, by name, sorted."""
    folder = find_folder(Path(__file__).resolve().parents[1])
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_folder(package: Path) -> Path:
    """The folder of search spaces of the *package* in this folder.

    A wheel holds it inside the package; a bare checkout or an editable install beside it.
    """
    inside = package / FOLDER
    return inside if inside.is_dir() else package.parent / FOLDER
