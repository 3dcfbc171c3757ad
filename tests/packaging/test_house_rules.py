"""Rules of the house that a machine can check: floors, imports, and sizes."""

import ast
import subprocess
import sys

import pytest

LONGEST_FILE = 400
LONG_FUNCTION = 30
SHARE_OF_SHORT_FUNCTIONS = 0.9


@pytest.fixture(scope="module")
def modules(root):
    """Every source file of the package with its text."""
    found = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
             for path in sorted((root / "mpsearch").rglob("*.py"))}
    assert len(found) > 20
    return found


def functions(text):
    return [node for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function):
    return function.end_lineno - function.lineno + 1


def imported_after(statement):
    """Names of the modules that are loaded once *statement* has run in a fresh interpreter."""
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True)
    return set(done.stdout.split())


def test_no_floor_imports_from_above(root):
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "floors KEPT" in done.stdout


def test_every_room_stands_on_a_floor(root):
    config = (root / "pyproject.toml").read_text()
    floors = config.partition('name = "floors"')[2].partition("[[")[0]
    rooms = [path for path in (root / "mpsearch").iterdir()
             if path.suffix == ".py" or (path / "__init__.py").exists()]
    missing = [room.stem for room in rooms
               if room.stem != "__init__" and f"mpsearch.{room.stem}" not in floors]
    assert missing == []


def test_no_file_is_long(modules):
    lengths = {name: text.count("\n") for name, text in modules.items()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_most_functions_are_short(modules):
    lengths = {f"{name}:{function.name}": length(function)
               for name, text in modules.items() for function in functions(text)}
    long = {name: lines for name, lines in lengths.items() if lines >= LONG_FUNCTION}
    assert len(long) <= (1 - SHARE_OF_SHORT_FUNCTIONS) * len(lengths), long


def test_no_drawer_for_odds_and_ends(modules):
    assert [name for name in modules if "utils" in name or "helpers" in name] == []


def test_nothing_is_left_for_later(modules):
    marks = ("TODO", "FIXME", "XXX", "NotImplementedError")
    assert [name for name, text in modules.items() if any(mark in text for mark in marks)] == []


@pytest.mark.parametrize("module", [
    "mpsearch", "mpsearch.cli", "mpsearch.core.io", "mpsearch.plugins", "mpsearch.report.picture",
    "mpsearch.report.table", "mpsearch.allocation.ilp", "mpsearch.cost.size",
])
def test_importing_needs_no_torch(module):
    assert not imported_after(f"import {module}") & {"torch", "timm", "torchvision"}


@pytest.mark.parametrize("module", ["mpsearch", "mpsearch.cli", "mpsearch.report.picture",
                                    "mpsearch.report.table"])
def test_importing_is_quick_because_matplotlib_waits(module):
    assert "matplotlib" not in imported_after(f"import {module}")


def test_core_needs_no_numbers_library():
    statement = ("import mpsearch.core.io, mpsearch.core.types, mpsearch.core.budget, "
                 "mpsearch.core.formats, mpsearch.core.errors")
    assert not imported_after(statement) & {"numpy", "torch", "matplotlib", "pulp", "networkx"}
