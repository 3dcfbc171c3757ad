"""CSV tables of images: ``file``, and optionally ``label`` and ``split``."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from mpsearch.core.errors import BadInput
from mpsearch.sources.division import Split, read_split
from mpsearch.sources.listing import Listing

Row = dict[str, str]
_LINE = "line of the table"
_LABEL = re.compile(r"[0-9]{1,9}")


def list_table(path: Path) -> Listing:
    """The images that the table at *path* names, relative to the folder it stands in.

    Raises:
        BadInput: the table is unreadable, empty or has no ``file`` column; a file is missing; a
            label is no integer; a split has another name.
    """
    rows = _rows(path)
    files = tuple(path.parent / row["file"] for row in rows)
    for row, file in zip(rows, files, strict=True):
        if not file.is_file():
            raise BadInput(f"{path} line {row[_LINE]} names '{row['file']}', which is not a file: "
                           "correct the path (it is relative to the table)")
    return Listing(where=str(path), files=files, labels=_labels(path, rows),
                   splits=_splits(path, rows))


def _rows(path: Path) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restkey="", restval="")
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            rows = [{key: str(value).strip() for key, value in row.items()}
                    | {_LINE: str(reader.line_num)} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read {path} as a CSV table ({error}): save it as UTF-8 text with "
                       "a header file,label") from error
    if "file" not in names:
        raise BadInput(f"{path} has no 'file' column (it has {', '.join(names) or 'no header'}): "
                       "name the column of image paths 'file'")
    if not rows:
        raise BadInput(f"{path} lists no files: add one row for each image")
    return rows


def _labels(path: Path, rows: list[Row]) -> tuple[int, ...] | None:
    if "label" not in rows[0]:
        return None
    labels = []
    for row in rows:
        if not _LABEL.fullmatch(row["label"]):
            raise BadInput(f"{path} line {row[_LINE]} has the label '{row['label']}': write the "
                           "class as an integer from 0")
        labels.append(int(row["label"]))
    return tuple(labels)


def _splits(path: Path, rows: list[Row]) -> tuple[Split, ...] | None:
    if "split" not in rows[0]:
        return None
    return tuple(read_split(row["split"], f"{path} line {row[_LINE]}") for row in rows)
