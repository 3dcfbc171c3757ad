"""The compiled kernels on every path that can run here, each compiled once for all tests."""

from __future__ import annotations

import pytest
import torch

from mpsearch.kernels import build
from mpsearch.kernels.library import PATHS, opened, using

EMULATED = "emulated"


@pytest.fixture(scope="session")
def compiled():
    """A library with all paths that this processor runs, and the widest one emulated."""
    try:
        units = (*build.units_for(everywhere=False), build.EMULATED)
        return opened(build.built(build.cache_folder(), units))
    except build.BuildFailed as problem:
        pytest.skip(f"nothing was compiled: {problem}")


@pytest.fixture(params=(*PATHS, EMULATED))
def path(request, compiled):
    """The kernels on each path."""
    if not compiled.runs(request.param):
        pytest.skip(f"this processor has no {request.param}")
    return compiled.at(request.param)


@pytest.fixture(params=(*PATHS, EMULATED, "torch"))
def anywhere(request):
    """Whatever computes: each path, or torch alone."""
    if request.param == "torch":
        with using(None):
            yield "torch"
        return
    compiled = request.getfixturevalue("compiled")
    if not compiled.runs(request.param):
        pytest.skip(f"this processor has no {request.param}")
    with using(compiled.at(request.param)):
        yield request.param


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
