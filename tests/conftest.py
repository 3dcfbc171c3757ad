"""Fixtures that several rooms share."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
_SHARED = []  # the real export, and the one that shares, once there are any

# Tests run side by side, one on each core: threads inside them would only get in the way.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where there is no GPU, Triton's kernels are interpreted. It asks once, when it is imported, which
# torch may do at any time.
if not (Path("/proc/driver/nvidia").exists() or Path("/dev/kfd").exists()):
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A slow machine is not a wrong answer, and the same tree gets the same verdict.
settings.register_profile("mpsearch", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)  # other examples every time
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "mpsearch"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Let tests share captures, but for those of the room that makes them."""
    trace = sys.modules.get("mpsearch.graph.trace")
    if trace is None:
        return
    if not _SHARED:
        _SHARED.extend((trace.export, _loaded("captures").Captures(trace.export)))
    alone = ROOT / "tests" / "graph" in item.path.parents
    trace.export = _SHARED[0 if alone else 1]


@pytest.fixture(scope="session")
def one_thread():
    """Small models are fastest on one thread, and have the same sums everywhere."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real weights and images, which are too large and too restricted to keep here."""
    default = ROOT.parent / "shared" / "data"
    place = Path(os.environ.get("MPSEARCH_TEST_DATA") or default)
    if not place.is_dir():
        pytest.skip(f"no test data at {place}: set MPSEARCH_TEST_DATA to their folder")
    return place


@pytest.fixture(scope="session")
def models():
    """The small networks and what it takes to measure them, as one namespace.

    Loaded by path, because tests are no package.
    """
    return SimpleNamespace(**{name: each for file in ("networks", "branches", "rigs")
                              for name, each in vars(_loaded(file)).items()})


def _loaded(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the other file look it up
    spec.loader.exec_module(module)
    return module
