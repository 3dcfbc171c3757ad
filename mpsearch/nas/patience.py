"""Storages on a server that is away for a moment: every operation is tried again."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage

from mpsearch.core.errors import BadInput

PAUSES_S: tuple[float, ...] = (0.5, 1, 2, 4, 8, 15)
"""Waits between tries: half a minute in all, which a restart of a server takes."""


class StorageLost(BadInput):
    """A storage that was open does not answer any more."""


def patient(storage: BaseStorage, *, pauses: tuple[float, ...] = PAUSES_S) -> BaseStorage:
    """*storage*, each operation of which is tried again while its server cannot be reached.

    An operation may have been done although its answer was lost. A study bears that: a ticket that
    is given out twice counts once, and a trial that nobody holds is taken back.

    Raises:
        StorageLost: (from operations) the server did not come back.
    """
    for name in sorted(BaseStorage.__abstractmethods__):
        setattr(storage, name, _again(getattr(storage, name), pauses))
    return storage


def reason_of(error: BaseException) -> str:
    """What *error* says, in one line without addresses of manuals."""
    inner = _inner(error)
    text = getattr(inner, "orig", None) or getattr(inner, "details", lambda: None)() or inner
    return " ".join(str(text).split("(Background")[0].split())[:300] or type(inner).__name__


def _again(operation: Callable[..., Any], pauses: tuple[float, ...]) -> Callable[..., Any]:
    @functools.wraps(operation)
    def tried(*args: Any, **named: Any) -> Any:
        for pause in (*pauses, None):
            try:
                return operation(*args, **named)
            except Exception as error:
                if not _is_of_driver(_inner(error)):
                    raise
                if pause is None or not _passes(_inner(error)):
                    raise StorageLost(f"the storage was lost: {reason_of(error)}; the same command "
                                      "goes on where this one stopped") from error
                time.sleep(pause)
        raise AssertionError("unreachable")

    return tried


def _inner(error: BaseException) -> BaseException:
    """What the driver raised, where Optuna raised its own error for it."""
    return (error.__cause__ or error) if isinstance(error, StorageInternalError) else error


def _is_of_driver(error: BaseException) -> bool:
    """Whether a database's driver or gRPC raised it (neither needs to be installed)."""
    names = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    return bool(names & {"sqlalchemy.exc.SQLAlchemyError", "grpc.RpcError"})


def _passes(error: BaseException) -> bool:
    """Whether it is about the connection: waiting may help."""
    code = getattr(error, "code", None)
    if callable(code):
        return getattr(code(), "name", "") in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
    return getattr(error, "connection_invalidated", False) or bool(
        {kind.__name__ for kind in type(error).__mro__}
        & {"OperationalError", "InterfaceError", "PendingRollbackError"})
