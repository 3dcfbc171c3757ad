"""Which kind of source the text of ``--data`` is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mpsearch.core.errors import BadInput
from mpsearch.sources.names import FunctionName

DataKind = Literal["function", "table", "arrays", "folder"]


def data_kind(spec: str) -> DataKind:
    """Tell the kind by what is there, and by the form of *spec* where nothing is.

    Raises:
        BadInput: nothing is there, or a file of another kind.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        return "folder"
    if path.is_file():
        kind = _FILES.get(path.suffix.lower())
        if kind is None:
            raise BadInput(f"cannot tell what {spec} is: give {_FORMS}")
        return kind
    if FunctionName.parse(spec) is not None:
        return "function"
    raise BadInput(f"no such data: {spec}: give {_FORMS}")


_FILES: dict[str, DataKind] = {".csv": "table", ".npz": "arrays"}
_FORMS = ("a folder of images, a .csv with file,label, an .npz with x and y, or a function as "
          "package.module:function or path/file.py:function")
