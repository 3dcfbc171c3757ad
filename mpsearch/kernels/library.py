"""Finds or builds the library, loads it, and chooses the path that this processor runs best."""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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


os.register_at_fork(after_in_child=_after_fork)


def opened(file: Path) -> Kernels:
    """The library in *file*, on its portable path.

    Raises:
        OSError: it cannot be loaded.
    """
    # torch is loaded by now, so that the library finds torch's own copy of the OpenMP runtime
    return Kernels(library=declare(ctypes.CDLL(str(file))), path="portable", file=file)


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
        if is_right(loaded.at(name)):
            return loaded.at(name)
        _warn(f"the integer kernels for {name} gave wrong numbers on this machine and are not "
              "used: please report the processor's name")
    _warn("integer layers run on torch alone, which is exact but slow: no compiled kernel works")
    return None


def _loaded() -> Kernels:
    """The library that came with the package, or else one that is built now and kept."""
    shipped = Path(__file__).parent / build.library_name(build.units_for(everywhere=True))
    if shipped.exists():
        return opened(shipped)
    units = build.units_for(everywhere=False)
    file = build.built(build.cache_folder(), units)
    try:
        return opened(file)
    except OSError:  # cut short by a full disk, or another system's: once more from the sources
        file.unlink(missing_ok=True)
        return opened(build.built(build.cache_folder(), units))


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
