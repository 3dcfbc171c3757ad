"""Measurements that were cut off: killed, interrupted, or with a line half written."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mpsearch.workspace import FileLedger

PATIENCE_SECONDS = 300
MEASURE = ("measure", "--json", "--calibration-samples", "16", "--batch-size", "8")
UNITS = 2 * 38  # batches and groups


@pytest.fixture(scope="module", params=["kl_probe", "fisher"])
def whole(request, tool, tmp_path_factory):
    """An estimator, and the folder where it measured the embedded model in one go."""
    folder = tmp_path_factory.mktemp("whole")
    ran = tool(*MEASURE, "--estimator", request.param, cwd=folder)
    assert ran.data["measured_units"] == UNITS
    assert not list((folder / ".mpsearch").glob("ledgers/*")), "a finished table needs no ledger"
    return request.param, folder


def ledger_of(estimator, whole, folder):
    """Where *folder* will have the ledger of the table that *whole* has; others may ride along."""
    tables = (whole / ".mpsearch" / "tables").iterdir()
    stem, = (path.stem for path in tables if json.loads(path.read_text())["metric"] == estimator)
    return folder / ".mpsearch" / "ledgers" / f"{stem}.jsonl"


def kill_after(lines, ledger, arguments, folder):
    """Start the tool, kill it -9 once its ledger has *lines* whole lines."""
    program = "from mpsearch.cli import main; main()"
    # the file takes what a full pipe would block on
    with (folder / "noise").open("w") as noise:
        process = subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=folder,
                                   stdout=noise, stderr=noise)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if ledger.exists() and ledger.read_bytes().count(b"\n") >= lines:
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    noise = folder / "noise"
    assert process.returncode == -signal.SIGKILL, noise.read_text()
    noise.unlink()


def test_after_a_kill_nothing_finished_is_measured_again(whole, tool, listing, tmp_path):
    """And every file is the same as if nothing had happened."""
    estimator, folder = whole
    command = (*MEASURE, "--estimator", estimator)
    ledger = ledger_of(estimator, folder, tmp_path)
    kill_after(5, ledger, command, tmp_path)
    with ledger.open("ab") as file:  # what a power cut may leave behind them
        file.write(b'{"unit":"1/head","rows":[[0.12')
    finished = ledger.read_bytes().count(b"\n")
    assert 5 <= finished < UNITS
    ran = tool(*command, cwd=tmp_path)
    assert ran.data["resumed_units"] == finished
    assert ran.data["measured_units"] == UNITS - finished
    assert listing(tmp_path) == listing(folder)


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
