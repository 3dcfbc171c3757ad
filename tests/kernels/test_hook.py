"""The build hook: a wheel with kernels where there is a compiler, and a whole one without."""

import os
import subprocess
import sys
import zipfile

import pytest

from mpsearch.kernels import build

# Writes where -o says; its kernels are words.
COMPILER = """#!/bin/sh
case "$*" in *--version*) echo a compiler; exit 0;; esac
for a; do [ "$l" = -o ] && echo kernels > "$a"; l=$a; done
"""


@pytest.fixture
def make(root, tmp_path):
    """Builds a wheel of the checkout, and names what is inside."""
    pytest.importorskip("hatchling")
    compiler = tmp_path / "c++"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)

    def made(kind, compiler):
        program = f"from hatchling.build import build_{kind} as f; print(f({str(tmp_path)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False,
            env={**os.environ, "CXX": str(compiler), "MPSEARCH_KERNELS": str(tmp_path / "kept")})
        assert done.returncode == 0, done.stderr
        name = done.stdout.splitlines()[-1]
        with zipfile.ZipFile(tmp_path / name) as wheel:
            return name, {each: wheel.read(each) for each in wheel.namelist()
                          if each.startswith("mpsearch/kernels/")}, done.stderr + done.stdout
    return lambda kind, there: made(kind, compiler if there else "/nowhere/c++")


def test_a_wheel_carries_the_kernels_under_the_name_that_is_looked_for(make):
    name, inside, _ = make("wheel", there=True)
    library = build.library_name(build.units_for(everywhere=True))
    assert inside[f"mpsearch/kernels/{library}"] == b"kernels\n"
    assert "-py3-none-" in name
    assert not name.endswith("-any.whl")


def test_a_wheel_without_a_compiler_is_complete(make):
    name, inside, said = make("wheel", there=False)
    assert name.endswith("-py3-none-any.whl")
    assert "mpsearch/kernels/csrc/api.cpp" in inside
    assert not [each for each in inside if each.endswith(".so")]
    assert "left to be compiled later: no C++ compiler" in said


@pytest.mark.parametrize("there", [True, False])
def test_an_editable_install_compiles_on_first_use(make, there):
    pytest.importorskip("editables")
    name, inside, _ = make("editable", there=there)
    assert name.endswith("-py3-none-any.whl")
    assert not inside
