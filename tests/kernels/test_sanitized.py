"""The same sources under the address and undefined-behaviour sanitizers, on random shapes."""

import subprocess
from pathlib import Path

import pytest

from mpsearch.kernels import build
from mpsearch.kernels.library import NUMBERS

ONE_WIDTH = "-DONLY_BITS=7"  # it has planes of all sizes, and two halves on AVX2
WATCHED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiled(compiler, place, source, *flags):
    made = place / f"{Path(source).stem}.o"
    command = [compiler, *build.FLAGS, ONE_WIDTH, *flags, "-c", str(source), "-o", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(made)


def linked(compiler, objects, program):
    done = subprocess.run([compiler, *WATCHED, *objects, "-o", str(program)], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        pytest.skip(f"no sanitizers: {done.stderr.splitlines()[0]}")


def test_nothing_reads_or_writes_beyond_its_memory(tmp_path):
    """On the best path of this processor; the portable one is only linked."""
    try:
        compiler = build.find_compiler()
    except build.BuildFailed as problem:
        pytest.skip(str(problem))
    own = build.units_for(everywhere=False)[-1]
    known = [] if own is build.PORTABLE else [f"-DWITH_{own.name.upper()}"]
    objects = [compiled(compiler, tmp_path, build.SOURCES / "api.cpp", *WATCHED, *known),
               compiled(compiler, tmp_path, Path(__file__).parent / "fuzz.cpp", *WATCHED)]
    machine = [flag for flag in own.flags if flag.startswith("-m")]
    objects.append(compiled(compiler, tmp_path, build.SOURCES / own.source, *WATCHED, *machine))
    if known:
        objects.append(compiled(compiler, tmp_path, build.SOURCES / build.PORTABLE.source, "-O0"))
    linked(compiler, objects, tmp_path / "fuzz")
    run = subprocess.run([tmp_path / "fuzz", str(NUMBERS[own.name])], capture_output=True,
                         text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout == "right\n"
