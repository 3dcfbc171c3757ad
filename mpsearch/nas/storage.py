"""Where studies are kept: any storage that Optuna has, named by a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, InMemoryStorage

from mpsearch.core.errors import BadInput

_JOURNAL, _GRPC = "journal:", "grpc://"
_PORT = 13000
_TRIES = "memory, journal:path, sqlite:///path, postgresql://…, mysql://… or grpc://host:port"


def storage_of(text: str) -> BaseStorage:
    """The storage that *text* names: ``memory``, ``journal:path``, a database's URL, or a proxy.

    Raises:
        BadInput: it is none of these, cannot be reached, or holds studies of another version.
    """
    with _told(text):
        if text == "memory":
            return InMemoryStorage()
        if text.startswith(_JOURNAL):
            return _journal(text.removeprefix(_JOURNAL))
        if text.startswith(_GRPC):
            return _proxy(text)
        if "://" not in text:
            raise BadInput(f"'{text}' is no storage: use {_TRIES}")
        return optuna.storages.RDBStorage(text)


def _journal(path: str) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(path))


def _proxy(text: str) -> BaseStorage:
    host, _, port = text.removeprefix(_GRPC).rstrip("/").partition(":")
    if not host or (port and not port.isdigit()):
        raise BadInput(f"'{text}' is no proxy: write grpc://host:port")
    found = optuna.storages.GrpcStorageProxy(host=host, port=int(port or _PORT))
    found.wait_server_ready(timeout=10)
    return found


@contextmanager
def _told(text: str) -> Iterator[None]:
    try:
        yield
    except (BadInput, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        raise BadInput(f"the storage '{text}' needs the package {error.name}: pip install "
                       f"{error.name}") from error
    except Exception as error:  # drivers raise what they like
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(f"the storage '{text}' cannot be used: {reason}") from error
