"""Answers from saved tables wait for no library that is slow to import."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json
import sys
from mpsearch.cli import main
for command in json.loads(sys.argv.pop()):
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, command
    print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
SLOW = {"torch", "timm", "torchvision", "sklearn", "scipy", "matplotlib", "optuna", "PIL",
        "pydantic", "typer", "rich", "joblib", "networkx", "pulp"}
SOLVER = {"highspy"}  # finds prices where several budgets compete


COMMANDS = [
    ("allocate", "-b", "4bpw", "--no-verify"), ("pareto", "--no-measure"),
    ("show", "policy.json"), ("show", "policy.json", "--why", "head=W2"), ("spaces",),
    ("spaces", "--quantizers"), ("allocate", "-b", "9ms", "--device", "zen5", "--no-verify"),
    ("pareto", "--over", "latency", "--device", "h200", "--no-measure")]


@pytest.fixture
def imported(measured_digits, few):
    """What a new process imported to run commands, one after the other, on what is saved."""

    def run(*commands):
        whole = [[*each, *(few if each[0] in {"allocate", "pareto"} else ())] for each in commands]
        done = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(whole)],
                              cwd=measured_digits, check=True, capture_output=True, text=True)
        assert done.stdout
        said = [line for line in done.stderr.splitlines() if line.startswith("imported: ")]
        return [set(line.split()) for line in said]

    return run


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_slow_is_imported(imported, form):
    found = imported(*((*command, *form) for command in COMMANDS))
    slow = {command: (SLOW | SOLVER) & own for command, own in zip(COMMANDS, found, strict=True)}
    assert not any(slow.values()), slow


def test_two_budgets_need_the_solver_and_nothing_else(imported):
    (found,) = imported(("allocate", "-b", "4bpw", "-b", "0.4GBOPs", "--no-verify"))
    assert SLOW & found == set()
    assert found >= SOLVER, "the list is not empty for another reason"


def test_the_same_commands_again_run_draw_and_fit_nothing(imported, tool, measured_digits, few,
                                                          listing):
    commands = [("allocate", "-b", "4.5bpw"), ("pareto",)]
    for command in commands:
        assert tool(*command, *few, cwd=measured_digits).code == 0
    before = listing(measured_digits)
    assert all((SLOW | SOLVER) & found == set() for found in imported(*commands))
    assert listing(measured_digits) == before


def test_installed_packages_are_not_searched(measured_digits, few):
    program = PROGRAM.replace('.partition(".")[0]', "")
    command = ["allocate", "-b", "4bpw", "--no-verify", *few]
    done = subprocess.run([sys.executable, "-c", program, json.dumps([command])],
                          cwd=measured_digits, check=True, capture_output=True, text=True)
    found = set(done.stderr.splitlines()[-1].split())
    assert "importlib.metadata" not in found
    assert "mpsearch.allocation.ilp" in found
    assert not {"mpsearch.allocation.tree", "mpsearch.steps.verify", "mpsearch.report.picture",
                "mpsearch.spaces.resolve"} & found
