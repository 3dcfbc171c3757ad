"""Everything here runs small models: one thread is fastest, and gives the same sums everywhere."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _on_one_thread(one_thread):
    pass
