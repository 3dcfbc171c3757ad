"""Everything here runs small models: one thread is fastest, and gives the same sums everywhere."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _on_one_thread(one_thread):
    pass


@pytest.fixture(scope="session")
def sweeping():
    """What it takes to sweep relevance over a small network; loaded by path, as tests are."""
    place = Path(__file__).parent / "sweeping.py"
    spec = importlib.util.spec_from_file_location("sweeping", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
