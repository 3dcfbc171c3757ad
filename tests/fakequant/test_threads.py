"""Small work runs on one thread, and the setting is put back."""

import pytest
import torch

from mpsearch.fakequant.threads import threads_for


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("work", "threads"), [
    ({}, 1), ({"macs": 1e6}, 1), ({"elements": 1000}, 1), ({"macs": 1e12}, 2),
    ({"elements": 1 << 24}, 2), ({"macs": 1e6, "elements": 1 << 24}, 2),
])
def test_small_work_runs_on_one_thread(work, threads):
    with threads_for(**work):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_setting_survives_a_failure():
    with pytest.raises(ValueError, match="boom"), threads_for():
        raise ValueError("boom")
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_single_thread_stays():
    torch.set_num_threads(1)
    with threads_for(macs=1e12):
        assert torch.get_num_threads() == 1
