from __future__ import annotations

import pytest
import torch

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.threads import side_by_side
from mpsearch.quantizers.uniform import Uniform


@pytest.fixture
def threads():
    """Set the number of threads, and put it back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_results_come_in_order_and_the_number_of_threads_is_left_alone(threads):
    threads(3)
    inside = side_by_side(lambda item: (item, torch.get_num_threads()), range(20),
                          torch.device("cpu"))
    assert inside == [(item, 1) for item in range(20)]
    assert torch.get_num_threads() == 3


def test_nothing_to_do_is_done(threads):
    threads(2)
    assert side_by_side(str, [], torch.device("cpu")) == []


def test_an_error_in_a_task_is_raised_and_the_number_of_threads_is_left_alone(threads):
    threads(2)
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 / item, [1, 0], torch.device("cpu"))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("rule", ["absmax", "percentile", "least_squares"])
def test_parameters_do_not_depend_on_the_number_of_threads(threads, tensor, rule):
    x = tensor("heavy", (160, 20_000), 0)  # several blocks
    formats = [IntFormat(bits=3, scale=rule),
               IntFormat(bits=4, symmetric=False, granularity="tensor", scale=rule)]
    found = []
    for count in (1, 3):
        threads(count)
        with torch.inference_mode():
            found.append(Uniform().fit(x, formats))
    for one, three in zip(*found, strict=True):
        assert torch.equal(one.scale, three.scale)
        assert torch.equal(one.zero_point, three.zero_point)
