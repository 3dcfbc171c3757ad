"""Measurements that were cut off: killed, interrupted, or with a line half written."""

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from mpsearch.workspace import FileLedger

SMALL = ("--calibration-samples", "16", "--batch-size", "4")
UNITS = 4 * 3  # batches and groups
KILLED = """
import os
import signal
import sys
from mpsearch.cli import main
from mpsearch.workspace import FileLedger

name, put = sys.argv.pop(1), FileLedger.put

def put_and_die(self, unit, rows):
    put(self, unit, rows)
    if self._path.stem == name and len(self._units) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

FileLedger.put = put_and_die
main()
"""


@pytest.fixture
def measure(mine):
    """The command that measures the tiny model by an estimator."""
    return lambda estimator: ("measure", "--json", *mine[:4], *SMALL, "--estimator", estimator)


@pytest.fixture(params=["kl_probe", "fisher"])
def whole(request, tool, user, measure):
    """An estimator, and a folder where it measured the tiny model in one go."""
    shutil.rmtree(user / ".mpsearch")
    folder = user.with_name("whole")
    shutil.copytree(user, folder)
    ran = tool(*measure(request.param), cwd=folder)
    assert ran.data["measured_units"] == UNITS
    assert not list((folder / ".mpsearch").glob("ledgers/*")), "a finished table needs no ledger"
    return request.param, folder


def ledger_of(estimator, whole, folder):
    """Where *folder* will have the ledger of the table that *whole* has; others may ride along."""
    tables = (whole / ".mpsearch" / "tables").iterdir()
    stem, = (path.stem for path in tables if json.loads(path.read_text())["metric"] == estimator)
    return folder / ".mpsearch" / "ledgers" / f"{stem}.jsonl"


def test_after_a_kill_nothing_finished_is_measured_again(whole, user, tool, measure, listing):
    """And every file is the same as if nothing had happened."""
    estimator, folder = whole
    ledger = ledger_of(estimator, folder, user)
    killed = subprocess.run([sys.executable, "-c", KILLED, ledger.stem, *measure(estimator)],
                            cwd=user, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with ledger.open("ab") as file:  # what a power cut may leave behind them
        file.write(b'{"unit":"1/head","rows":[[0.12')
    finished = ledger.read_bytes().count(b"\n")
    assert finished == 5
    ran = tool(*measure(estimator), cwd=user)
    assert ran.data["resumed_units"] == finished
    assert ran.data["measured_units"] == UNITS - finished
    assert listing(user) == listing(folder)


def test_an_interrupt_ends_in_one_line_and_keeps_what_was_measured(tool, user, mine, monkeypatch):
    put, done = FileLedger.put, []
    # a shell's background jobs begin with interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def put_and_interrupt(self, unit, rows):
        put(self, unit, rows)
        done.append(unit)
        if len(done) == 2:
            signal.raise_signal(signal.SIGINT)

    fresh = ("measure", "--json", *mine[:4], *mine[6:], "--workspace", "fresh")
    with monkeypatch.context() as patched:
        patched.setattr(FileLedger, "put", put_and_interrupt)
        ran = tool(*fresh, cwd=user)
    signal.signal(signal.SIGINT, before)
    assert ran.code == 130
    assert ran.out == ""
    last = ran.err.splitlines()[-1]
    assert last.startswith("mpsearch: interrupted")
    assert "Abort" not in ran.err
    assert "Traceback" not in ran.err
    ran = tool(*fresh, cwd=user)
    assert ran.data["resumed_units"] == 2
    assert ran.data["measured_units"] == 1


def test_a_ledger_with_a_broken_line_in_the_middle_costs_only_that_line(tool, user, mine):
    """A disk that lost a block is no reason to give up."""
    fresh = ("measure", "--json", *mine[:4], *mine[6:], "--workspace", "fresh")
    table = tool(*fresh, cwd=user).data["tables"]["kl_probe"]
    path, = (user / "fresh" / "tables").iterdir()
    path.unlink()
    ledger = user / "fresh" / "ledgers" / f"{path.stem}.jsonl"
    samples, = (user / "fresh" / "samples").iterdir()
    rows = [[0.5] * len(np.load(samples)) for _ in table["values"][0]]
    kept = json.dumps({"unit": "0/5", "rows": rows})
    ledger.write_text('\0\0\0\0\0\n{"unit":"0/3"}\n' + kept + "\n")
    ran = tool(*fresh, cwd=user)
    assert ran.data["resumed_units"] == 1
    assert ran.data["measured_units"] == 2
    assert ran.data["tables"]["kl_probe"]["values"][:2] == table["values"][:2]
