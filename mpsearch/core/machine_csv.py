"""Machine tables as CSV: one row a time, everything that is known about it in the row."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from mpsearch.core.errors import BadInput
from mpsearch.core.io import write
from mpsearch.core.machine import MachineTable, Timing, told

COLUMNS = ("operation", "shape", "scheme", "batch", "threads", "milliseconds", "provider",
           "device", "cpu", "versions", "fusions", "packed")
"""*versions* is written ``torch=2.8;mpsearch=0.1``, *fusions* ``linear+gelu;linear+relu``, *packed*
(whether weights are read at the width of their scheme) ``yes`` or ``no``."""
_SAME = ("provider", "device", "cpu", "versions", "fusions", "packed")
_WORDS = {"yes": True, "no": False}


def export_table(table: MachineTable, path: str | os.PathLike[str]) -> None:
    """Write *table* to *path*, sorted by what the times are for.

    Raises:
        BadInput: the place cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    about = (table.provider, table.device, table.cpu,
             ";".join(f"{name}={version}" for name, version in sorted(table.versions.items())),
             ";".join(table.fusions), "yes" if table.packed else "no")
    for row in sorted(table.rows, key=lambda row: row.key):
        writer.writerow((*row.key, repr(row.milliseconds), *about))
    write(path, text.getvalue().encode())


def import_table(path: str | os.PathLike[str], device: str | None = None) -> MachineTable:
    """Read what `export_table` wrote, or what somebody measured elsewhere.

    *device* renames it. All rows must be of one device and one provider.

    Raises:
        BadInput: the file cannot be read, its columns are others, a number is none (or negative,
            infinite or NaN), a row is there twice or of another device; the message names the
            file, the row (1 is the first below the heading) and the column.
    """
    rows: dict[tuple[str, str, str, int, int], Timing] = {}
    about: dict[str, str] = {}
    for number, cells in _cells(Path(path)):
        place = f"{path}, row {number}"
        about = about or {name: cells[name] for name in _SAME}
        for name in _SAME:
            if cells[name] != about[name]:
                raise BadInput(f"{place}, column {name}: '{cells[name]}' is another than "
                               f"'{about[name]}' in row 1: import one table at a time")
        row = _timing(cells, place)
        if row.key in rows:
            raise BadInput(f"{place}, column milliseconds: a second time for {told(row.key)}")
        rows[row.key] = row
    if not rows:
        raise BadInput(f"{path} has no rows below its heading: there is nothing to import")
    return MachineTable(
        device=device or about["device"], provider=about["provider"], cpu=about["cpu"],
        origin="imported", versions=_versions(about["versions"], str(path)),
        packed=_WORDS[about["packed"]],
        fusions=tuple(filter(None, about["fusions"].split(";"))), rows=tuple(rows.values()))


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}: give a "
                       "CSV file of a machine table") from error
    try:
        heading, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (ValueError, csv.Error) as error:
        raise BadInput(f"{path} is no CSV file with a heading: {error}") from error
    _check_heading(path, heading)
    for number, line in enumerate(lines, 1):
        if len(line) != len(COLUMNS):
            raise BadInput(f"{path}, row {number}: {len(line)} cells for {len(COLUMNS)} columns")
        yield number, dict(zip(heading, line, strict=True))


def _check_heading(path: Path, heading: list[str]) -> None:
    wrong = [f"no column {name}" for name in COLUMNS if name not in heading]
    wrong += [f"an unknown column {name or '(empty)'}" for name in heading if name not in COLUMNS]
    if wrong or len(heading) != len(COLUMNS):
        raise BadInput(f"{path}, row 0 (the heading): {(wrong or ['a column twice'])[0]}; the "
                       f"columns are {','.join(COLUMNS)}")


def _timing(cells: dict[str, str], place: str) -> Timing:
    for name in ("operation", "shape", "scheme", "device", "provider"):
        if not cells[name].strip():
            raise BadInput(f"{place}, column {name}: it is empty")
    if cells["packed"] not in _WORDS:
        raise BadInput(f"{place}, column packed: '{cells['packed']}' is neither yes nor no")
    counts = {}
    for name in ("batch", "threads"):
        if not (cells[name].isascii() and cells[name].isdigit() and int(cells[name]) > 0):
            raise BadInput(f"{place}, column {name}: '{cells[name]}' is no positive whole number")
        counts[name] = int(cells[name])
    try:
        return Timing(operation=cells["operation"], shape=cells["shape"], scheme=cells["scheme"],
                      milliseconds=float(cells["milliseconds"]), **counts)
    except (ValueError, BadInput) as error:
        raise BadInput(f"{place}, column milliseconds: '{cells['milliseconds']}' is no time: write "
                       "a finite number of milliseconds, not below 0") from error


def _versions(text: str, where: str) -> dict[str, str]:
    pairs = [each.partition("=") for each in text.split(";") if each]
    if not all(equals for _, equals, _ in pairs):
        raise BadInput(f"{where}, row 1, column versions: '{text}' is not written name=version;…")
    return {name: version for name, _, version in pairs}
