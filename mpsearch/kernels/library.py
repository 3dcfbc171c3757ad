"""Finds or builds the library, loads it, and chooses the path that this processor runs best."""

from __future__ import annotations

import ctypes
import os
import struct
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from mpsearch.core.errors import BadInput
from mpsearch.kernels import build
from mpsearch.kernels.signatures import declare

PATHS = ("portable", "avx2", "avxvnni", "avx512vnni")
"""Instruction sets in the order of the C interface, from slow to fast."""
NUMBERS = {name: number for number, name in enumerate((*PATHS, "emulated"))}
ISA_VARIABLE = "MPSEARCH_ISA"
_ELF_64, _ELF_HEADER = b"\x7fELF\x02\x01", 64  # little-endian; the table of sections comes last


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """A loaded library and the *path* in it that is used."""

    library: ctypes.CDLL
    path: str
    file: Path

    @property
    def number(self) -> int:
        """The path's number in the C interface."""
        return NUMBERS[self.path]

    def at(self, path: str) -> Kernels:
        """The same library on another path."""
        return Kernels(library=self.library, path=path, file=self.file)

    def runs(self, path: str) -> bool:
        """Whether library and processor have *path*."""
        return bool(self.library.mps_runs(NUMBERS[path]))


class _State:
    """What was chosen in this process, once something asked."""

    lock = threading.RLock()
    known = False
    chosen: Kernels | None = None
    forked = False


def kernels() -> Kernels | None:
    """The kernels to use, chosen at the first call; None where only torch can compute.

    A warning says once why they are slow, or why a path is not used.

    Raises:
        BadInput: MPSEARCH_ISA names an instruction set that is not known or that this machine
            lacks.
    """
    if not _State.known:
        with _State.lock:
            if not _State.known:
                _State.chosen, _State.known = _choose(), True
    return _State.chosen


@contextmanager
def using(chosen: Kernels | None) -> Iterator[None]:
    """Compute with *chosen* inside the block, in all threads: for tests and measurements."""
    before = _State.known, _State.chosen
    _State.known, _State.chosen = True, chosen
    try:
        yield
    finally:
        _State.known, _State.chosen = before


def threads() -> int:
    """How many threads a call may use: torch's number, but one in a forked child.

    The threads of the parent do not exist there, and their runtime would wait for them.
    """
    return 1 if _State.forked else torch.get_num_threads()


def _after_fork() -> None:
    _State.forked = True
    _State.lock = threading.RLock()  # another thread may have held it, and is gone


os.register_at_fork(after_in_child=_after_fork)


def opened(file: Path) -> Kernels:
    """The library in *file*, on its portable path.

    Raises:
        OSError: it cannot be loaded.
    """
    if not _is_whole(file):
        raise OSError(f"{file} is cut short")
    # torch is loaded by now, so that the library finds torch's own copy of the OpenMP runtime
    return Kernels(library=declare(ctypes.CDLL(str(file))), path="portable", file=file)


def _is_whole(file: Path) -> bool:
    """Whether an ELF file has its end: the loader would read beyond it, and the system end us."""
    with file.open("rb") as content:
        head, size = content.read(_ELF_HEADER), os.fstat(content.fileno()).st_size
    if head[:len(_ELF_64)] != _ELF_64:
        return size > 0  # for the loader to judge
    if len(head) < _ELF_HEADER:
        return False
    table, entry, count = struct.unpack("<40xQ10xHH2x", head)
    return size >= int(table) + int(entry) * int(count)


def _choose() -> Kernels | None:
    wanted = os.environ.get(ISA_VARIABLE) or None
    if wanted is not None and wanted not in PATHS:
        raise BadInput(f"unknown {ISA_VARIABLE} '{wanted}': use one of {', '.join(PATHS)}")
    try:
        loaded = _loaded()
    except (build.BuildFailed, OSError) as problem:
        if wanted is not None:
            raise BadInput(f"{ISA_VARIABLE}={wanted} needs the compiled kernels: "
                           f"{problem}") from None
        _warn(f"integer layers run on torch alone, which is exact but slow: {problem}; install a "
              "C++ compiler such as g++")
        return None
    if wanted is not None and not loaded.runs(wanted):
        able = [name for name in PATHS if loaded.runs(name)]
        raise BadInput(f"this machine cannot run {ISA_VARIABLE}={wanted}: use one of "
                       f"{', '.join(able)}")
    return _first_right(loaded, [wanted] if wanted else list(reversed(PATHS)))


def _first_right(loaded: Kernels, names: list[str]) -> Kernels | None:
    """The first of the paths *names* that computes what it should."""
    from mpsearch.kernels.selftest import is_right

    for name in names:
        if not loaded.runs(name):
            continue
        with _own_threads():
            right = is_right(loaded.at(name))
        if right:
            return loaded.at(name)
        _warn(f"the integer kernels for {name} gave wrong numbers on this machine and are not "
              "used: please report the processor's name")
    _warn("integer layers run on torch alone, which is exact but slow: no compiled kernel works")
    return None


@contextmanager
def _own_threads() -> Iterator[None]:
    """In a forked child torch, too, would wait for threads that do not exist."""
    before = torch.get_num_threads()
    if _State.forked:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if _State.forked:
            torch.set_num_threads(before)


def _loaded() -> Kernels:
    """The library that came with the package, or else one that is built now and kept."""
    shipped = Path(__file__).parent / build.library_name(build.units_for(everywhere=True))
    if shipped.exists():
        with suppress(OSError):  # made for another system
            return opened(shipped)
    units = build.units_for(everywhere=False)
    try:
        return _kept(units)
    except OSError as problem:
        _warn(f"the integer kernels are compiled for this process alone: {problem}; set "
              f"{build.FOLDER_VARIABLE} to a folder that can be written")
        with tempfile.TemporaryDirectory(prefix="mpsearch-") as place:
            return opened(build.built(Path(place), units))


def _kept(units: Sequence[build.Unit]) -> Kernels:
    file = build.built(build.cache_folder(), units)
    try:
        return opened(file)
    except OSError:  # cut short by a full disk, or another system's: once more from the sources
        file.unlink(missing_ok=True)
        return opened(build.built(build.cache_folder(), units))


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
