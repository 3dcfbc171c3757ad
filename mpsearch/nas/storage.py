"""Where studies are kept: any storage that Optuna has, named by a text."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, InMemoryStorage

from mpsearch.core.errors import BadInput
from mpsearch.nas.databases import database
from mpsearch.nas.journal import journal
from mpsearch.nas.patience import patient, reason_of
from mpsearch.nas.places import JOURNAL, MEMORY, PORT, PROXY, require_place, shown

_PATIENCE_S = 10.0
EXTRA = "pip install 'mpsearch[distributed]'"


def storage_of(text: str) -> BaseStorage:
    """The storage that *text* names: ``memory``, ``journal:path``, a database's URL, or a proxy.

    A server that is away for a moment later on is waited for.

    Raises:
        BadInput: it is none of these, cannot be reached, or holds studies of another version.
    """
    require_place(text)
    with _told(text):
        if text == MEMORY:
            return InMemoryStorage()
        if text.startswith(JOURNAL):
            return _journal(text.removeprefix(JOURNAL))
        if text.startswith(PROXY):
            return patient(_proxy(text))
        return patient(database(text))


def _journal(path: str) -> BaseStorage:
    if Path(path).is_dir():
        raise BadInput(f"'journal:{path}' names no file: write journal:path")
    try:
        return journal(Path(path))
    except (ValueError, LookupError, TypeError, AssertionError) as error:
        raise BadInput(f"{path} is no journal of Optuna: name another file") from error


def _proxy(text: str) -> BaseStorage:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host = None
    if not host or parts.path.strip("/"):
        raise BadInput(f"'{text}' is no proxy: write grpc://host:port")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        found = optuna.storages.GrpcStorageProxy(
            host=f"[{host}]" if ":" in host else host, port=port)
    try:
        found.wait_server_ready(timeout=_PATIENCE_S)
    except ConnectionError as error:
        raise BadInput(f"nothing answers at {text} within {_PATIENCE_S:.0f} s: start it there with "
                       "mpsearch serve-storage") from error
    return found


@contextmanager
def _told(text: str) -> Iterator[None]:
    try:
        yield
    except (BadInput, KeyboardInterrupt):
        raise
    except ImportError as error:
        raise BadInput(f"the storage '{shown(text)}' needs a package that is not installed "
                       f"({reason_of(error)}): {EXTRA}") from error
    except OSError as error:
        raise BadInput(f"the storage '{shown(text)}' cannot be used: "
                       f"{error.strerror or error}") from error
    except Exception as error:  # drivers raise what they like
        raise BadInput(f"the storage '{shown(text)}' cannot be used: {reason_of(error)}"
                       ) from error
