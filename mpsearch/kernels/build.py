"""Compiles the kernels, with nothing but a compiler and the standard library.

The build of a wheel and the first use both come here, so that one list of files and flags holds.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "csrc"
FLAGS = ("-std=c++17", "-fPIC", "-fwrapv", "-ffp-contract=off", "-fvisibility=hidden", "-Wno-psabi")
THREADS = "-fopenmp"
PREFIX = "mpsearch_kernels-"
FOLDER_VARIABLE = "MPSEARCH_KERNELS"
_COMPILERS = ("c++", "g++", "clang++")

Compiler = tuple[str, ...]
"""A program, and arguments that come before all others."""


class BuildFailed(Exception):
    """There is no compiler, or it did not compile the kernels; the text says which, in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A source file and its own flags. *needs* are what /proc/cpuinfo says of a processor for it.

    *name* is that of its path; the interface knows of it by ``WITH_NAME``.
    """

    name: str
    source: str
    flags: tuple[str, ...]
    needs: tuple[str, ...] = ()


_WIDE = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni")
PORTABLE = Unit(name="portable", source="path_portable.cpp", flags=("-O2",))
VECTOR_UNITS = (
    Unit(name="avx2", source="path_avx2.cpp", flags=("-O3", "-mavx2"), needs=("avx2",)),
    Unit(name="avxvnni", source="path_avxvnni.cpp", flags=("-O3", "-mavx2"),
         needs=("avx2", "avx_vnni")),
    Unit(name="avx512vnni", source="path_avx512vnni.cpp", flags=("-O3", *_WIDE),
         needs=("avx512f", "avx512bw", "avx512vl", "avx512_vnni")),
)
EMULATED = Unit(name="emulated", source="path_avx512vnni.cpp", flags=("-O1", "-DEMULATED"))
"""The widest path without its one instruction: what tests run where that is missing."""


def units_for(*, everywhere: bool) -> tuple[Unit, ...]:
    """The units worth compiling: all that compilers for this architecture know, or only those
    that this processor runs.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return (PORTABLE,)
    own = _processor()
    return (PORTABLE, *(unit for unit in VECTOR_UNITS
                        if everywhere or own is None or own.issuperset(unit.needs)))


def sources_key(units: Sequence[Unit]) -> str:
    """A name for what *units* are compiled from: their text and flags."""
    digest = hashlib.sha256(repr((units, FLAGS, THREADS)).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def library_name(units: Sequence[Unit]) -> str:
    """The file name under which a package carries the library of *units*."""
    return f"{PREFIX}{sources_key(units)}.so"


def cache_folder() -> Path:
    """Where libraries that are built on first use are kept.

    Raises:
        OSError: nothing says where: the user has no home folder.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as problem:
        raise OSError(str(problem).rstrip(".")) from None
    return Path(base) / "mpsearch" / "kernels"


def find_compiler() -> Compiler:
    """The compiler: that named by CXX, such as ``ccache g++``, or the first one there is.

    Raises:
        BuildFailed: there is none.
    """
    named = os.environ.get("CXX", "").strip()
    for words in (_words(named) if named else [(name,) for name in _COMPILERS]):
        if found := shutil.which(words[0]):
            return (found, *words[1:])
    raise BuildFailed(f"no C++ compiler: {named or ', '.join(_COMPILERS)} not found")


def _words(named: str) -> Iterator[Compiler]:
    """What CXX may mean: a program whose path has blanks, or one with arguments."""
    yield (named,)
    try:
        yield tuple(shlex.split(named))
    except ValueError as problem:
        raise BuildFailed(f"CXX={named} is no command: {problem}") from None


def built(folder: Path, units: Sequence[Unit]) -> Path:
    """The library of *units* in *folder*, compiled unless it is there already.

    It appears under its name only when it is whole, so that several processes may build at once.

    Raises:
        BuildFailed: there is no compiler, or it failed.
    """
    compiler = find_compiler()
    told = " ".join(compiler[1:]) + _run([*compiler, "--version"])
    key = sources_key(units) + "-" + hashlib.sha256(told.encode()).hexdigest()[:8]
    library = folder / f"{PREFIX}{key}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="building-") as place:
            made = compile_units(compiler, units, Path(place))
            made.replace(library)
    return library


def compile_units(compiler: Compiler, units: Sequence[Unit], place: Path,
                  extra: Sequence[str] = ()) -> Path:
    """The library of *units*, compiled and linked in the folder *place*.

    Units that the compiler does not know are left out; the first one must compile.

    Raises:
        BuildFailed: the compiler failed.
    """
    first = [*FLAGS, *extra, *_threads(compiler)]
    with ThreadPoolExecutor(min(len(units), os.cpu_count() or 1)) as pool:
        made = list(pool.map(lambda unit: _compiled(compiler, first, unit, place), units))
    if isinstance(made[0], BuildFailed):
        raise made[0]
    kept = [(unit, each) for unit, each in zip(units, made, strict=True)
            if not isinstance(each, BuildFailed)]
    known = [f"-DWITH_{unit.name.upper()}" for unit, _ in kept]
    interface = place / "api.o"
    _run([*compiler, *first, "-O1", *known, "-c", str(SOURCES / "api.cpp"), "-o", str(interface)])
    library = place / "kernels.so"
    _run([*compiler, "-shared", *extra, *_threads(compiler), "-o", str(library), str(interface),
          *(str(each) for _, each in kept)])
    return library


def _compiled(compiler: Compiler, flags: Sequence[str], unit: Unit, place: Path
              ) -> Path | BuildFailed:
    out = place / f"{unit.name}.o"
    try:
        _run([*compiler, *flags, *unit.flags, "-c", str(SOURCES / unit.source), "-o", str(out)])
    except BuildFailed as failed:
        return failed
    return out


def _threads(compiler: Compiler) -> tuple[str, ...]:
    """OpenMP where it is torch's own runtime: other compilers would bring a second one."""
    return () if "clang" in _run([*compiler, "--version"]) else (THREADS,)


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise BuildFailed(f"{command[0]} does not run: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        said = (lines or done.stderr.splitlines() or ["no message"])[0].strip()
        raise BuildFailed(f"{command[0]} failed: {said}")
    return done.stdout


def _processor() -> frozenset[str] | None:
    """What the processor can do, as Linux calls it; None if it does not say."""
    try:
        said = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"),
                         re.MULTILINE)
    except OSError:
        return None
    return frozenset(said.group(1).split()) if said else None
