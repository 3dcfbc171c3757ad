"""Where measured products live: content-addressed files, and ledgers that survive a crash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

from mpsearch.core import io
from mpsearch.core.errors import BadInput

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")
DEFAULT = ".mpsearch"
_MATRIX = 2


def digest(value: Any) -> str:
    """A key for *value* (plain data or a product): equal values have equal keys."""
    return hashlib.sha256(io.dumps(value, compact=True)).hexdigest()[:24]


class Workspace:
    """A folder of finished products, each under the key of what it was made from.

    A product is written whole or not at all. Nothing in here is ever changed, so any file may be
    deleted: it is made again when it is needed.
    """

    def __init__(self, root: str | os.PathLike[str] = DEFAULT) -> None:
        self.root = Path(root)

    def load(self, kind: str, key: str, product: type[T]) -> T | None:
        """The product of *kind* under *key*, or None if it was never finished.

        A file of an earlier version, or one that was damaged, counts as never finished.
        """
        path = self._path(kind, key)
        if not path.exists():
            return None
        try:
            return io.load(path, product)
        except BadInput:
            return None

    def save(self, kind: str, key: str, value: Any) -> None:
        """Keep a finished product.

        Raises:
            BadInput: the workspace cannot be written.
        """
        io.save(self._path(kind, key), value, compact=True)

    def save_array(self, kind: str, key: str, rows: Sequence[Sequence[float]]) -> None:
        """Keep a matrix of numbers as an ``.npy`` file of float64.

        Raises:
            BadInput: the workspace cannot be written.
        """
        import numpy as np

        content = BytesIO()
        np.save(content, np.array(rows, dtype=np.float64))
        io.write(self._path(kind, key, "npy"), content.getvalue())

    def load_array(self, kind: str, key: str, *, columns: int
                   ) -> tuple[tuple[float, ...], ...] | None:
        """The matrix of *kind* under *key*; None if it is not there whole, with so many columns."""
        import numpy as np

        try:
            rows = np.load(self._path(kind, key, "npy"), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if rows.ndim != _MATRIX or rows.shape[1] != columns or rows.dtype != np.float64:
            return None
        return tuple(map(tuple, rows.tolist()))

    def ledger(self, key: str) -> FileLedger:
        """The ledger of the work under *key*, with what an interrupted run left in it."""
        return FileLedger(self.root / "ledgers" / f"{key}.jsonl")

    @contextmanager
    def locked(self, kind: str, key: str) -> Iterator[None]:
        """Hold back others that would read, extend and save the same product meanwhile.

        They wait until the block ends, or its process does. Where the system or the file system
        knows no locks, nobody waits.

        Raises:
            BadInput: the workspace cannot be written.
        """
        path = self._path(kind, key, "lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        except OSError as error:
            raise io.cannot_write(path, error) from error
        with file:
            if fcntl is not None:
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _path(self, kind: str, key: str, suffix: str = "json") -> Path:
        return self.root / kind / f"{key}.{suffix}"


class FileLedger:
    """Finished units of one measurement, a line each, appended and flushed to disk at once.

    A line that a crash cut short is dropped when the ledger is opened again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._units: dict[str, list[list[float]]] = {}
        self.resumed = self._read()

    def get(self, unit: str) -> list[list[float]] | None:
        """The rows of a finished *unit*, or None."""
        return self._units.get(unit)

    def put(self, unit: str, rows: list[list[float]]) -> None:
        """Note a finished *unit*; on return it is safe on disk.

        Raises:
            BadInput: the workspace cannot be written.
        """
        line = json.dumps({"unit": unit, "rows": rows}, separators=(",", ":")).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise io.cannot_write(self._path, error) from error
        self._units[unit] = rows

    def close(self) -> None:
        """Remove the ledger: its units are in a finished table now."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> int:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise BadInput(f"cannot read {self._path}: {error.strerror}") from error
        whole = content.rfind(b"\n") + 1
        for line in content[:whole].split(b"\n"):
            entry = _entry(line)
            if entry is not None:
                self._units[entry[0]] = entry[1]
        if whole < len(content):
            try:
                os.truncate(self._path, whole)
            except OSError as error:
                raise io.cannot_write(self._path, error) from error
        return len(self._units)


def _entry(line: bytes) -> tuple[str, list[list[float]]] | None:
    """Unit and rows of a ledger's line; None for one that a failing disk left unreadable."""
    try:
        entry = json.loads(line)
        unit, rows = entry["unit"], entry["rows"]
    except (ValueError, LookupError, TypeError):
        return None
    whole = isinstance(unit, str) and isinstance(rows, list)
    return (unit, rows) if whole else None
