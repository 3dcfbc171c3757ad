"""Answers from saved tables wait for no library that is slow to import."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from mpsearch.cli import main
try:
    main()
finally:
    print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
SLOW = {"torch", "timm", "torchvision", "sklearn", "scipy", "matplotlib", "optuna", "PIL"}


@pytest.mark.parametrize("command", [
    ("allocate", "-b", "4bpw", "--no-verify"),
    ("allocate", "-b", "4bpw", "-b", "0.4GBOPs", "--no-verify"),
    ("pareto", "--no-measure"), ("show", "policy.json"),
    ("show", "policy.json", "--why", "head=W2"), ("spaces",),
    ("spaces", "--quantizers")])
def test_nothing_slow_is_imported(measured_digits, few, command):
    options = few if command[0] in {"allocate", "pareto"} else ()
    done = subprocess.run([sys.executable, "-c", PROGRAM, *command, "--json", *options],
                          cwd=measured_digits, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)
    assert SLOW & set(done.stderr.splitlines()[-1].split()) == set()


def test_json_needs_no_tables(measured_digits, few):
    done = subprocess.run([sys.executable, "-c", PROGRAM, "allocate", "-b", "4bpw", "--no-verify",
                           "--json", *few], cwd=measured_digits, check=True, capture_output=True,
                          text=True)
    imported = set(done.stderr.splitlines()[-1].split())
    assert "rich" not in imported
    assert "numpy" in imported, "the list is not empty for another reason"
