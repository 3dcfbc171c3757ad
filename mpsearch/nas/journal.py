"""A journal file that many workers write: no broken line stays, and no lock of a dead one."""

from __future__ import annotations

import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

_BLOCK = 4096


class MendingLock(JournalFileSymlinkLock):
    """The lock of a journal; whoever gets it first cuts off a line that was not written out.

    A full disk or a killed worker leaves such a line, and the next one would be glued to it. The
    path is made absolute: the lock is a link to it, and one that leads nowhere never counts as old.
    """

    def __init__(self, path: Path, grace_period: int = 30) -> None:
        super().__init__(str(path.absolute()), grace_period=grace_period)
        self._path = path.absolute()

    def acquire(self) -> bool:
        """Wait for the lock, and mend the file."""
        held = super().acquire()
        mend(self._path)
        return held


def mend(path: Path) -> None:
    """Cut *path* after its last whole line. The lock must be held."""
    with path.open("rb+") as file:
        end = size = file.seek(0, os.SEEK_END)
        while end:
            start = max(end - _BLOCK, 0)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                end = start + place + 1
                break
            end = start
        if end < size:
            file.truncate(end)


def journal(path: Path, *, grace_s: int = 30) -> JournalStorage:
    """The storage in the file *path*, which is made. A lock that lasts *grace_s* is broken."""
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    lock = MendingLock(path, grace_s)
    return JournalStorage(JournalFileBackend(str(path.absolute()), lock_obj=lock))
