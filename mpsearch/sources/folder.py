"""Folders of images: one subfolder a class, one a split, or all images in one folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mpsearch.core.errors import BadInput
from mpsearch.sources.division import is_split, read_split
from mpsearch.sources.listing import Listing
from mpsearch.sources.table import list_table

LABELS = "labels.csv"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".gif"})


def list_folder(folder: Path) -> Listing:
    """The images of *folder*: as its ``labels.csv`` says, else as its subfolders say.

    Subfolders are the classes, numbered in sorted order. Where all of them are named after a
    split (``train``, ``val``, …) they are the splits, each with its classes. A folder without
    subfolders has no labels.

    Raises:
        BadInput: no image is found, or splits that do not have the same classes.
    """
    if (folder / LABELS).is_file():
        return list_table(folder / LABELS)
    parts = _subfolders(folder)
    if parts and all(is_split(part.name) for part in parts):
        return _by_split(folder, parts)
    files, labels = _by_class(folder)
    return Listing(where=str(folder), files=tuple(files),
                   labels=None if labels is None else tuple(labels))


def _by_split(folder: Path, parts: list[Path]) -> Listing:
    read = {part: _by_class(part) for part in parts}
    classes = {tuple(each.name for each in _subfolders(part)) for part in parts}
    if len(classes) > 1:
        raise BadInput(f"{folder} has splits with different classes: give every split the same "
                       f"subfolders, or write {LABELS} with file,label,split")
    splits = [read_split(part.name, str(folder)) for part in parts for _ in read[part][0]]
    labels = [label for _, some in read.values() for label in some or ()]
    return Listing(where=str(folder), files=tuple(f for files, _ in read.values() for f in files),
                   labels=tuple(labels) or None, splits=tuple(splits))


def _by_class(folder: Path) -> tuple[list[Path], list[int] | None]:
    """Files and labels below one folder; labels are None where it has no subfolders."""
    classes = _subfolders(folder)
    if not classes:
        files = _images(folder.iterdir())
        labels = None
    else:
        found = [_images(each.rglob("*")) for each in classes]
        files = [file for some in found for file in some]
        labels = [index for index, some in enumerate(found) for _ in some]
    if not files:
        raise BadInput(f"{folder} has no images in it: point --data at a folder of "
                       f"{', '.join(sorted(SUFFIXES))} files")
    return files, labels


def _subfolders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir()
                  if each.is_dir() and not each.name.startswith("."))


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths
                  if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
