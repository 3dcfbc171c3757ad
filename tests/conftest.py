"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# a slow machine is not a wrong answer
settings.register_profile("mpsearch", deadline=None)
settings.load_profile("mpsearch")


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
