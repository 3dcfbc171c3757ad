"""Digests of what ``--model``, ``--weights`` and ``--data`` point at, without loading it.

They are keys of saved results, so they must be cheap: this file imports neither torch nor timm,
nor the module that a function is in.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mpsearch.core.errors import BadInput
from mpsearch.core.version import version_of
from mpsearch.sources.importable import importable
from mpsearch.sources.kinds import data_kind
from mpsearch.sources.names import FunctionName, is_timm_name

_READ_LIMIT = 64 * 2**20
_CODE = frozenset({".py", ".safetensors", ".pth", ".pt", ".bin", ".npz"})


def identify_model(spec: str, weights: str | None = None) -> str:
    """Hex digest of the model *spec* with the *weights* file.

    For a timm name it covers the name and timm's version; for a function its name and every
    source, weight and array file in its folder.

    Raises:
        BadInput: the function's file or the weights file is missing.
    """
    model = ["timm", spec, version_of("timm")] if is_timm_name(spec) else _function(spec)
    return _digest([model, None if weights is None else _weights(weights)])


def identify_data(spec: str) -> str:
    """Hex digest of the data that *spec* names.

    For images it covers names, sizes and times of change, and the text of the table; for arrays
    their content; for a function the same as for a model.

    Raises:
        BadInput: nothing is there, or the table is not usable.
    """
    kind, path = data_kind(spec), Path(spec).expanduser()
    if kind == "function":
        return _digest(_function(spec))
    if kind == "arrays":
        return _digest(["arrays", _content(path)])
    if kind == "table":
        return _digest(["table", *_table(path)])
    from mpsearch.sources.folder import LABELS

    files = sorted(each for each in path.rglob("*") if each.is_file())
    labels = path / LABELS
    return _digest(["folder", [_stat(each, path) for each in files],
                    _content(labels) if labels.is_file() else None])


def _table(path: Path) -> list[Any]:
    """The table's content, and the state of each file it names."""
    from mpsearch.sources.table import list_table

    return [_content(path), [_stat(file, path.parent) for file in sorted(list_table(path).files)]]


def _weights(weights: str) -> Any:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise BadInput(f"no such weights file: {weights}: check --weights")
    return _content(path)


def _function(spec: str) -> list[Any]:
    """What a function is: its name, its module's file, and the files beside that."""
    name = FunctionName.parse(spec)
    if name is None:
        raise BadInput(f"'{spec}' names no function: write package.module:function or "
                       "path/file.py:function")
    source = name.file if name.file is not None else _module_file(name)
    if not source.is_file():
        raise BadInput(f"no such file: {name.place}: check the path before the colon")
    beside = sorted(each for each in source.parent.iterdir()
                    if each.suffix in _CODE and each.is_file())
    return ["function", name.function, source.name,
            [[each.name, _content(each)] for each in beside]]


def _module_file(name: FunctionName) -> Path:
    """The file of a dotted module, found by path below its top-level package.

    Looking up ``a.b.c`` the usual way would import ``a`` and ``a.b``, whatever they cost.
    """
    top, *rest = name.place.split(".")
    with importable(name.folder):
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            spec = None
    if spec is None:
        raise BadInput(f"no module named '{top}': check {name.place}, or give "
                       "path/file.py:function")
    folders = [Path(each) for each in spec.submodule_search_locations or ()]
    if not rest and spec.origin is not None:
        return Path(spec.origin)
    for folder in folders:
        found = _below(folder, rest)
        if found is not None:
            return found
    raise BadInput(f"no module named '{name.place}': check the name before the colon")


def _below(folder: Path, parts: Sequence[str]) -> Path | None:
    """The file of the module that *parts* lead to, starting in a package's folder."""
    base = folder.joinpath(*parts)
    candidates = [base.with_name(f"{base.name}.py"), base / "__init__.py",
                  *sorted(base.parent.glob(f"{base.name}.*.so"))]
    return next((each for each in candidates if each.is_file()), None)


def _content(path: Path) -> Any:
    """SHA-256 of a file of reasonable size, else its size and time of change."""
    state = path.stat()
    if state.st_size > _READ_LIMIT:
        return [state.st_size, state.st_mtime_ns]
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stat(path: Path, root: Path) -> list[Any]:
    state = path.stat()
    name = path.relative_to(root) if path.is_relative_to(root) else path
    return [name.as_posix(), state.st_size, state.st_mtime_ns]


def _digest(parts: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
