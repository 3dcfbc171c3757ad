"""What becomes of an answer that nobody reads, that does not fit, or that cannot be shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "from mpsearch.cli import main; main()"
FULL = Path("/dev/full")
LISTINGS = [("spaces",), ("spaces", "--json"), ("--help",), ("spaces", "--help"), ("--version",)]
LETTERS = "größe-日本"


def start(*command, cwd, stdout=subprocess.PIPE, **setting):
    """The tool as a shell starts it: Python keeps its output back as it sees fit."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in {"PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8"}}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *command], cwd=cwd, stdout=stdout,
                            stderr=subprocess.PIPE, text=True, encoding="utf-8",
                            env=environment | setting)


@pytest.mark.parametrize("command", LISTINGS)
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path, command):
    shown = start(*command, cwd=tmp_path)
    shown.stdout.close()
    assert shown.stderr.read() == ""
    shown.stderr.close()
    assert shown.wait() == 1


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", LISTINGS)
def test_a_full_disk_is_told_in_one_line(tmp_path, command):
    with FULL.open("w") as full:
        shown = start(*command, cwd=tmp_path, stdout=full)
        err = shown.communicate()[1]
    assert err == "mpsearch: error: the system refused: No space left on device\n"
    assert shown.returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes a stream")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_takes_nothing_and_breaks_nothing(tmp_path, closed):
    done = subprocess.run(["sh", "-c", f'"$0" -c "{PROGRAM}" spaces {closed}', sys.executable],
                          cwd=tmp_path, capture_output=True, text=True, check=True)
    assert bool(done.stdout) == (closed == "2>&-")
    assert done.stderr == ""


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_terminal_without_the_letters_gets_the_rest(tmp_path, form):
    """What it lacks is a question mark in a table, and spelled out in JSON."""
    space = tmp_path / f"{LETTERS}.toml"
    space.write_text(f'name = "{LETTERS}"\ndescription = "d"\n[[rule]]\nkind = "linear"\n'
                     'weight = { bits = 8, granularity = "channel" }\n', encoding="utf-8")
    shown = start("spaces", space.name, *form, cwd=tmp_path, PYTHONIOENCODING="ascii",
                  PYTHONUTF8="1")
    out, err = shown.communicate()
    assert (shown.returncode, err) == (0, "")
    assert ("gr\\u00f6\\u00dfe" if form else "gr??e-??") in out
