"""``package.module:function`` and ``path/file.py:function``: from the text to a callable."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from mpsearch.core.errors import BadInput, MpsearchError
from mpsearch.sources.importable import importable
from mpsearch.sources.names import FunctionName

T = TypeVar("T")
_WIDTH = 160
_HERE = Path(__file__).parent
_IMPORT_SYSTEM = Path(importlib.__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFunction:
    """A callable that someone else wrote."""

    spec: str
    name: FunctionName
    target: Callable[..., Any]

    def accepts(self, parameter: str) -> bool:
        """Whether the function has a parameter of this name (``**kwargs`` does not count)."""
        try:
            found = inspect.signature(self.target).parameters.get(parameter)
        except (TypeError, ValueError):  # some builtins have no signature
            return False
        return found is not None and found.kind in (found.POSITIONAL_OR_KEYWORD,
                                                    found.KEYWORD_ONLY)

    def call(self, read: Callable[[Any], T], **arguments: Any) -> T:
        """``read(function(**arguments))``; whatever the function prints goes to stderr.

        Raises:
            BadInput: the function, or what it yields to *read*, raised an exception.
        """
        with _guarded(f"{self.spec} failed", "correct the function"), importable(self.name.folder):
            return read(self.target(**arguments))


def load_function(spec: str) -> UserFunction:
    """Import the function that *spec* names.

    Raises:
        BadInput: not of the form ``place:function``, no such file, module or function, or an
            import that fails.
    """
    name = FunctionName.parse(spec)
    if name is None:
        raise BadInput(f"'{spec}' names no function: write package.module:function or "
                       "path/file.py:function")
    advice = "check the name, or install what it needs"
    with _guarded(f"{spec} cannot be imported", advice), importable(name.folder):
        module = _import_module(name)
    target = getattr(module, name.function, None)
    if not callable(target):
        raise BadInput(f"{name.place} has no function '{name.function}': define it there or "
                       "name another one after the colon")
    return UserFunction(spec=spec, name=name, target=target)


def describe(error: BaseException) -> str:
    """Type and beginning of an exception's message, on one line of bearable length."""
    text = textwrap.shorten(str(error), width=_WIDTH, placeholder=" …")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _import_module(name: FunctionName) -> ModuleType:
    if name.file is None:
        return importlib.import_module(name.place)
    if not name.file.is_file():
        raise BadInput(f"no such file: {name.place}: check the path before the colon")
    return _import_file(name.file.resolve())


def _import_file(path: Path) -> ModuleType:
    """Run *path* as a module whose name no other module can have; once for each content."""
    content = path.read_bytes()
    key = hashlib.sha256(str(path).encode() + b"\0" + content).hexdigest()[:16]
    unique = f"_mpsearch_file_{key}_{path.stem}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} cannot be imported: name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses and pickles of the file look it up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


@contextlib.contextmanager
def _guarded(what: str, advice: str) -> Iterator[None]:
    """Turn what foreign code raises into one line, and keep what it prints off stdout."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except MpsearchError:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"{what}: {describe(error)}{_place(error)}: {advice}") from error


def _place(error: BaseException) -> str:
    """`` (file.py:12)``, the outermost line of foreign code, or nothing."""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.parent not in (_HERE, _IMPORT_SYSTEM) and not frame.filename.startswith("<"):
            return f" ({path.name}:{frame.lineno})"
    return ""
