"""Processes of this machine: whether the very one that had a number then has it still."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process: *place* is where its number *pid* means something, *born* tells it from others.

    *place* is the boot of a machine and the namespace of process numbers in it (containers of one
    machine may share its name), or the name of the machine where the system has no such thing.
    """

    place: str
    pid: int
    born: str

    @property
    def data(self) -> dict[str, Any]:
        """As `read` wants it."""
        return asdict(self)

    @staticmethod
    def read(data: Any) -> Process | None:
        """The process that *data* is about; None if it is about none."""
        if not isinstance(data, Mapping) or not {"place", "pid", "born"} <= data.keys():
            return None
        return Process(place=data["place"], pid=int(data["pid"]), born=data["born"])

    def lives(self) -> bool:
        """Whether this machine runs it; to be asked at its *place* only."""
        born = _born(self.pid)
        return _exists(self.pid) if born is None else born == self.born


def this_process() -> Process:
    """The one that asks."""
    return Process(place=_place(), pid=os.getpid(), born=_born(os.getpid()) or "")


@lru_cache(maxsize=1)
def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def _born(pid: int) -> str | None:
    """When the process began, in ticks since boot; "" if it has ended; None if nothing says so."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _exists(pid: int) -> bool:
    """What a system without ``/proc`` says, or one that hides the processes of others in it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
