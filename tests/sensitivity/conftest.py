"""Everything here runs small models: one thread is fastest, and gives the same sums everywhere."""

import importlib.util
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sweeping():
    """What it takes to sweep relevance over a small network; loaded by path, as tests are."""
    place = Path(__file__).parent / "sweeping.py"
    spec = importlib.util.spec_from_file_location("sweeping", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
