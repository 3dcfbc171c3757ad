"""Answers from saved tables wait for no library that is slow to import."""

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
SLOW = {"torch", "timm", "torchvision", "sklearn", "scipy", "matplotlib", "optuna", "PIL",
        "pydantic", "typer", "rich", "joblib", "networkx", "pulp"}
SOLVER = {"highspy"}  # finds prices where several budgets compete


@pytest.fixture
def imported(measured_digits):
    """What a new process imported to run a command on what is saved."""

    def run(*command):
        done = subprocess.run([sys.executable, "-c", PROGRAM, *command],
                              cwd=measured_digits, check=True, capture_output=True, text=True)
        assert done.stdout
        return set(done.stderr.splitlines()[-1].split())

    return run


@pytest.mark.parametrize("command", [
    ("allocate", "-b", "4bpw", "--no-verify"), ("pareto", "--no-measure"),
    ("show", "policy.json"), ("show", "policy.json", "--why", "head=W2"), ("spaces",),
    ("spaces", "--quantizers"), ("allocate", "-b", "9ms", "--device", "zen5", "--no-verify"),
    ("pareto", "--over", "latency", "--device", "h200", "--no-measure")])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_slow_is_imported(imported, few, command, form):
    options = few if command[0] in {"allocate", "pareto"} else ()
    assert (SLOW | SOLVER) & imported(*command, *form, *options) == set()


def test_two_budgets_need_the_solver_and_nothing_else(imported, few):
    found = imported("allocate", "-b", "4bpw", "-b", "0.4GBOPs", "--no-verify", *few)
    assert SLOW & found == set()
    assert found >= SOLVER, "the list is not empty for another reason"


@pytest.mark.parametrize("command", [("allocate", "-b", "4.5bpw"), ("pareto",)])
def test_the_same_command_again_runs_draws_and_fits_nothing(imported, tool, measured_digits, few,
                                                            listing, command):
    assert tool(*command, *few, cwd=measured_digits).code == 0
    before = listing(measured_digits)
    assert (SLOW | SOLVER) & imported(*command, *few) == set()
    assert listing(measured_digits) == before


def test_installed_packages_are_not_searched(measured_digits, few):
    program = PROGRAM.replace('.partition(".")[0]', "")
    done = subprocess.run([sys.executable, "-c", program, "allocate", "-b", "4bpw", "--no-verify",
                           *few], cwd=measured_digits, check=True, capture_output=True, text=True)
    found = set(done.stderr.splitlines()[-1].split())
    assert "importlib.metadata" not in found
    assert "mpsearch.allocation.ilp" in found
    assert not {"mpsearch.allocation.tree", "mpsearch.steps.verify", "mpsearch.report.picture",
                "mpsearch.spaces.resolve"} & found
