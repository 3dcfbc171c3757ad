"""Whether the model hub is asked at all, and whether it can be reached, found out in no time."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies


@contextlib.contextmanager
def cache_only_if_unreachable() -> Iterator[None]:
    """Use only what the hub's client has cached where the hub's name does not resolve.

    Its client would retry for most of a minute before it says the same.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _resolves(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def cache_only() -> Iterator[None]:
    """Use only what the hub's client has cached."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _resolves(address: str) -> bool:
    if getproxies():  # the proxy resolves names
        return True
    try:
        socket.getaddrinfo(urlsplit(address).hostname, None)
    except OSError:
        return False
    return True
