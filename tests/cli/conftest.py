"""The tool in this process, a user's folder with a tiny model, and refusals."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

FEW = ("--calibration-samples", "16", "--batch-size", "16")
FEW_HELD_OUT = ("--evaluation-samples", "32", *FEW)
MINE = ("--model", "mine.py:model", "--data", "mine.py:data")

USER_CODE = """
import torch
from torch import nn

def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(),
                         nn.Linear(72, 16), nn.ReLU(), nn.Linear(16, 4))

def data(split, seed=0):
    drawn = torch.Generator().manual_seed(2 * seed + (split == "calibration"))
    for _ in range(4):
        yield torch.randn(16, 3, 8, 8, generator=drawn), torch.arange(16) % 4
"""


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        """The one JSON object on standard output."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small models on a busy machine are quickest on one thread, and bytes do not depend on it."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tool():
    """Run the command line in this process, as the console script would."""

    def run(*args, cwd):
        from mpsearch import cli

        out, err = io.StringIO(), io.StringIO()
        argv = sys.argv
        sys.argv = ["mpsearch", *map(str, args)]
        code = 0
        try:
            with (contextlib.chdir(cwd), contextlib.redirect_stdout(out),
                  contextlib.redirect_stderr(err)):
                cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            sys.argv = argv
        return Ran(code=code, out=out.getvalue(), err=err.getvalue())

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, tool):
    """A user's folder: a tiny model and data, measured, with a policy; only ever copied."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "mine.py").write_text(USER_CODE)
    ran = tool("allocate", "--budget", "5bpw", "--json", *MINE, *FEW_HELD_OUT, cwd=folder)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def user(tiny, tmp_path):
    """A copy of the user's folder to work in."""
    folder = tmp_path / "user"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory, tool):
    """A folder where the embedded model was allocated at 4.5 bits: its answer; only ever copied."""
    folder = tmp_path_factory.mktemp("digits")
    ran = tool("allocate", "--budget", "4.5bpw", "--json", *DIGITS, cwd=folder)
    assert ran.code == 0, ran.err
    return folder, ran


DIGITS = ("--calibration-samples", "32", "--evaluation-samples", "96", "--batch-size", "32")


@pytest.fixture(scope="session")
def few():
    """Options of the runs behind `digits`."""
    return DIGITS


@pytest.fixture(scope="session")
def mine():
    """Options of the runs behind `tiny`, without the budget."""
    return (*MINE, *FEW_HELD_OUT)


@pytest.fixture
def measured_digits(digits, tmp_path):
    """A copy of the digits' folder to work in."""
    folder = tmp_path / "digits"
    shutil.copytree(digits[0], folder)
    return folder


@pytest.fixture(scope="session")
def listing():
    """Every file below a folder with its bytes, but for Python's own caches."""

    def read(folder: Path):
        return {path.relative_to(folder).as_posix(): path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file() and "__pycache__" not in path.parts}

    return read


@pytest.fixture
def refused(tool, listing):
    """Run a command that must be refused in one line, leaving nothing behind; give that line."""

    def run(*args, cwd, workspace=".mpsearch"):
        before = set(listing(cwd))
        ran = tool(*args, cwd=cwd)
        assert ran.code == 2, (ran.code, ran.out, ran.err)
        assert ran.out == ""
        *said, line = ran.err.splitlines()
        assert line.startswith("mpsearch: error: ")
        assert all(each.startswith("note: ") or each.endswith(" ...") for each in said), (
            f"what was going on, what to know, and one line of error: {ran.err}")
        appeared = {name for name in set(listing(cwd)) - before
                    if not name.startswith(f"{workspace}{os.sep}")}
        assert appeared == set(), "a refused command writes no output"
        hidden = [name for name in listing(cwd) if Path(name).name.startswith(".")]
        assert hidden == [], "no temporary file stays"
        return line.removeprefix("mpsearch: error: ")

    return run
