"""What was measured once is never measured again, and costs no import of torch."""

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
    heavy = sorted({"torch", "timm", "torchvision", "sklearn"} & sys.modules.keys())
    print("imported:", *heavy, file=sys.stderr)
"""


@pytest.fixture
def fresh():
    """Run the command line in a new interpreter, and tell what it had to import."""

    def run(*args, cwd):
        done = subprocess.run([sys.executable, "-c", PROGRAM, *args], cwd=cwd, check=False,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        *_, last = done.stderr.splitlines()
        return done.stdout, last.removeprefix("imported:").split()

    return run


def test_the_same_command_again_gives_the_same_bytes_without_torch(fresh, measured_digits, few,
                                                                   listing):
    before = listing(measured_digits)
    for path in measured_digits.glob("policy.*"):
        path.unlink()
    out, imported = fresh("allocate", "--budget", "4.5bpw", "--json", *few, cwd=measured_digits)
    assert json.loads(out)["measured_units"] == 0
    assert imported == []
    assert listing(measured_digits) == before


def test_another_budget_is_answered_from_the_saved_scores_without_torch(
        fresh, measured_digits, few, listing):
    before = listing(measured_digits / ".mpsearch")
    out, imported = fresh("allocate", "--budget", "104KiB", "--budget", "0.5GBOPs", "--no-verify",
                          "--json", "--output", "small.json", *few, cwd=measured_digits)
    assert json.loads(out)["measured_units"] == 0
    assert json.loads(out)["files"] == ["small.json"]
    assert imported == []
    assert listing(measured_digits / ".mpsearch") == before


@pytest.mark.parametrize("command", [
    ("pareto", "--no-measure"), ("measure",), ("show", "policy.json"), ("spaces",)])
def test_commands_that_need_no_torch_import_none(fresh, measured_digits, few, command):
    options = {"pareto": few, "measure": (*few[:2], *few[4:])}.get(command[0], ())
    out, imported = fresh(*command, "--json", *options, cwd=measured_digits)
    assert json.loads(out)
    assert imported == []


def test_another_budget_runs_only_the_policies_that_are_new(tool, user, mine, listing):
    evaluations = user / ".mpsearch" / "evaluations"
    before = listing(evaluations)
    ran = tool("allocate", "--budget", "4.6bpw", "--json", *mine, cwd=user)
    assert ran.data["measured_units"] == 0
    after = listing(evaluations)
    assert set(before) < set(after)
    assert len(after) == len(before) + 1


def test_changed_weights_are_measured_anew(tool, user, mine):
    ran = tool("allocate", "--budget", "5bpw", "--json", *mine, cwd=user)
    assert ran.data["measured_units"] == 0
    code = (user / "mine.py").read_text()
    (user / "mine.py").write_text(code.replace("manual_seed(0)", "manual_seed(5)", 1))
    ran = tool("allocate", "--budget", "5bpw", "--json", *mine, cwd=user)
    assert ran.data["measured_units"] == 3


def test_products_that_were_damaged_are_made_again(tool, user, mine, listing):
    before = listing(user)
    for kind in ("tables", "studies", "evaluations"):
        for path in (user / ".mpsearch" / kind).iterdir():
            path.write_bytes(path.read_bytes()[:50])
    ran = tool("allocate", "--budget", "5bpw", "--json", *mine, cwd=user)
    assert ran.data["measured_units"] == 3
    assert listing(user) == before
