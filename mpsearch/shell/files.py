"""The files that `allocate` and `pareto` write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mpsearch.api import Result
    from mpsearch.report.front import Front
    from mpsearch.report.surface import Surface

T = TypeVar("T")


def write_result(result: Result, output: Path) -> list[Path]:
    """Write the policy, and beside it the fronts and their pictures where there are any."""
    result.policy.save(str(output))
    files = [output]
    if result.front is not None:
        stem = output.with_name(f"{output.stem}.front")
        files += _front_files(result.front, Path(f"{stem}.json"), stem)
    if result.surface is not None:
        files += _surface_files(result.surface, output.with_name(f"{output.stem}.costs"))
    return files


def write_front(front: Front, output: Path, *, picture: bool = True) -> list[Path]:
    """Write a front's numbers and, unless there is to be no *picture*, its pictures."""
    known = output.suffix in (".json", ".png", ".svg")
    stem = output.with_suffix("") if known else output
    return _front_files(front, stem.with_name(f"{stem.name}.json"), stem, picture=picture)


def _front_files(front: Front, path: Path, stem: Path, *, picture: bool = True) -> list[Path]:
    from mpsearch.report.front import save_front

    save_front(front, path)
    return [path, *(pictures(front, stem, _draw_front) if picture else [])]


def _draw_front(front: Front, stem: Path) -> list[Path]:
    from mpsearch.report.picture import draw

    return draw(front, stem)


def _surface_files(surface: Surface, stem: Path) -> list[Path]:
    from mpsearch.report.surface import draw_surface, save_surface

    path = Path(f"{stem}.json")
    save_surface(surface, path)
    return [path, *pictures(surface, stem, draw_surface)]


def pictures(shown: T, stem: Path, draw: Callable[[T, Path], list[Path]]) -> list[Path]:
    """The pictures at *stem*, drawn where they are not there already."""
    from mpsearch.report.style import drawn

    known = drawn(shown, stem)
    return draw(shown, stem) if known is None else known
