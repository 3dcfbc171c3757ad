"""The same sources under the address and undefined-behaviour sanitizers, on random shapes."""

import subprocess
from pathlib import Path

import pytest

from mpsearch.kernels import build
from mpsearch.kernels.library import NUMBERS

FLAGS = ("-DONLY_BITS=7", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         "-static-libasan", "-static-libubsan")


def test_nothing_reads_or_writes_beyond_its_memory(tmp_path):
    try:
        compiler = build.find_compiler()
    except build.BuildFailed as problem:
        pytest.skip(str(problem))
    units = build.units_for(everywhere=False)
    own = units[-1]
    driver = Path(__file__).parent / "fuzz.cpp"
    program = tmp_path / "fuzz"
    known = [f"-DWITH_{own.name.upper()}"] if own is not build.PORTABLE else []
    objects = []
    sources = {f"{build.SOURCES / 'api.cpp'}": known, f"{driver}": [],
               **{f"{build.SOURCES / unit.source}": [flag for flag in unit.flags
                                                     if flag.startswith("-m")]
                  for unit in {build.PORTABLE, own}}}
    for number, (source, flags) in enumerate(sources.items()):
        made = tmp_path / f"{number}.o"
        command = [compiler, *build.FLAGS, *FLAGS, *flags, "-c", source, "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and not objects:
            pytest.skip(f"no sanitizers: {done.stderr.splitlines()[0]}")
        assert done.returncode == 0, done.stderr
        objects.append(str(made))
    linked = subprocess.run([compiler, *FLAGS, *objects, "-o", str(program)], capture_output=True,
                            text=True, check=False)
    if linked.returncode:
        pytest.skip(f"no sanitizers: {linked.stderr.splitlines()[0]}")
    for name in {"portable", own.name}:
        run = subprocess.run([str(program), str(NUMBERS[name])], capture_output=True, text=True,
                             check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        assert run.stdout == "right\n"
