"""A storage over gRPC, for workers that cannot reach its file or database themselves."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning

from mpsearch.core.errors import BadInput
from mpsearch.nas.places import PROXY
from mpsearch.nas.storage import EXTRA, storage_of


def serve(text: str, host: str, port: int, *, started: Callable[[], None]) -> None:
    """Serve the storage *text* at *host* and *port* until Ctrl-C or SIGTERM.

    *started* is called as soon as the storage is open and nothing else listens there.

    Raises:
        BadInput: the storage cannot be used, gRPC is not installed, or the address is taken.
    """
    if text.startswith(PROXY):
        raise BadInput(f"{text} is served already: name the storage behind it")
    _require_grpc()
    storage = storage_of(text)
    _require_free(host, port)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _ends_on_signals(), suppress(KeyboardInterrupt):
        started()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                optuna.storages.run_grpc_proxy_server(
                    storage, host=f"[{host}]" if ":" in host else host, port=port)
        except RuntimeError as error:  # gRPC could not listen after all
            raise BadInput(f"cannot listen at {host}:{port}: {error}") from error


def _require_grpc() -> None:
    try:
        for name in ("grpc", "google.protobuf"):
            importlib.import_module(name)
    except ImportError as error:
        raise BadInput(f"serving needs gRPC ({error}): {EXTRA}") from error


def _require_free(host: str, port: int) -> None:
    """Two servers of gRPC may share a port, and workers would be dealt out to both."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            if os.name == "posix":  # a server that has just ended does not count
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"cannot listen at {host}:{port}: {reason}; name another --host or --port"
                       ) from error


@contextmanager
def _ends_on_signals() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does."""
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
