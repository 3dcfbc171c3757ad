"""Texts that name a storage: what they look like. Quick to import."""

from __future__ import annotations

import re

from mpsearch.core.errors import BadInput

MEMORY, JOURNAL, PROXY = "memory", "journal:", "grpc://"
DATABASES = ("sqlite", "postgresql", "mysql", "mariadb")
PORT = 13000
"""Where a proxy listens if nothing else is said, as Optuna has it."""
_USE = "memory, journal:path, sqlite:///path, postgresql://…, mysql://… or grpc://host:port"


def require_place(text: str) -> None:
    """Whether *text* looks like a storage; it is not opened.

    Raises:
        BadInput: it does not.
    """
    if text == JOURNAL:
        raise BadInput("'journal:' names no file: write journal:path")
    if text == MEMORY or text.startswith((JOURNAL, PROXY)):
        return
    if not text.startswith(DATABASES) or "://" not in text:
        raise BadInput(f"'{shown(text)}' is no storage: use {_USE}")


def shown(text: str) -> str:
    """*text* without a password."""
    return re.sub(r"(://[^:/@]*):[^/]*@", r"\1:***@", text)
