"""The same sources under the address and undefined-behaviour sanitizers, on random shapes.

With MPSEARCH_FUZZ=rounds every width of every path is compiled (minutes) and run for so long.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from mpsearch.kernels import build
from mpsearch.kernels.library import NUMBERS

ROUNDS = int(os.environ.get("MPSEARCH_FUZZ") or 0)
# 7 bits have planes of all sizes, and two halves on AVX2; 5 bits have planes with a gap.
WIDTHS = {"avx2": "7", "avxvnni": "7", "avx512vnni": "7", "emulated": "5"}
WATCHED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DRIVER = Path(__file__).parent / "fuzz"


def units():
    """The portable path, only linked in the short run; the best of this processor; the widest."""
    all_of = (*build.units_for(everywhere=False), build.EMULATED)
    return all_of if ROUNDS else tuple(dict.fromkeys((all_of[0], all_of[-2], all_of[-1])))


def commands(place):
    """What compiles the program, and its objects."""
    known = [f"-DWITH_{unit.name.upper()}" for unit in units()]
    yield [*WATCHED, *known, build.SOURCES / "api.cpp"], place / "api.o"
    yield ["-O2", DRIVER / "main.cpp"], place / "main.o"  # its memory is watched all the same
    for unit in units():
        width = [] if ROUNDS else [f"-DONLY_BITS={WIDTHS.get(unit.name, 7)}"]
        machine = [flag for flag in unit.flags if flag.startswith(("-m", "-D"))]
        watched = WATCHED if ROUNDS or unit is not build.PORTABLE else ["-O0"]
        yield ([*watched, *width, *machine, build.SOURCES / unit.source],
               place / f"{unit.name}.o")


def compiled(compiler, place):
    threads = build._threads(compiler)
    made = []
    for arguments, out in commands(place):
        build._run([*compiler, *build.FLAGS, *threads, *map(str, arguments), "-c", "-o", str(out)])
        made.append(str(out))
    try:
        build._run([*compiler, *WATCHED, *threads, *made, "-o", str(place / "fuzz")])
    except build.BuildFailed as problem:
        pytest.skip(f"no sanitizers: {problem}")
    return place / "fuzz"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Kept beside the kernels, by what it is made of: it takes longer to compile than to run."""
    try:
        compiler = build.find_compiler()
    except build.BuildFailed as problem:
        pytest.skip(str(problem))
    text = b"".join(path.read_bytes() for path in (*sorted(DRIVER.iterdir()), Path(__file__)))
    key = hashlib.sha256(text + build.sources_key(units()).encode()).hexdigest()[:16]
    kept = build.cache_folder() / f"fuzz-{key}-{'all' if ROUNDS else 'short'}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        compiled(compiler, tmp_path_factory.mktemp("fuzz")).replace(kept)
    return kept


@pytest.mark.parametrize("name", [unit.name for unit in units()[0 if ROUNDS else 1:]])
def test_nothing_is_wrong_or_reaches_beyond_its_memory(program, name):
    """Sums, scaled numbers and codes are those of plain loops, on one, two and four threads."""
    widths = [] if ROUNDS else [WIDTHS[name]]
    run = subprocess.run([program, str(NUMBERS[name]), str(ROUNDS or 12), *widths],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "\nright: " in run.stdout
