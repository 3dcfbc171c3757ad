"""Arctangent levels: their formula, and what they are for."""

from math import atan

import pytest
import torch

from mpsearch.core.formats.levels import Log2Format, TanFormat
from mpsearch.quantizers.tan import Tan, arctangent
from tests.quantizers.level_cases import attention, loss, rounded, uniform


def test_one_and_two_sided_levels_by_hand():
    one = [atan(2 * t) / atan(2) for t in (0, 1 / 3, 2 / 3, 1)]
    assert arctangent(3, 2.0, 0.0).tolist() == pytest.approx(one)
    two = [(1 + atan(4 * (t - 1 / 2)) / atan(2)) / 2 for t in (0, 1 / 3, 2 / 3, 1)]
    assert arctangent(3, 4.0, 0.5).tolist() == pytest.approx(two)


@pytest.mark.parametrize("bits", range(2, 9))
def test_steps_near_the_scale_are_finer_than_the_widest(bits):
    for levels in Tan().tables(TanFormat(bits=bits)):
        steps = levels.diff()
        assert bool((steps > 0).all())
        assert levels[[0, -1]].tolist() == [0, 1]
        widest = int(steps.argmax())
        assert bool((steps[widest:].diff() <= 1e-12).all())
        assert bool((steps[: widest + 1].diff() >= -1e-12).all())


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_less_error_near_one_than_log2_and_less_in_all_than_uniform(bits):
    x = attention()
    near = x > 0.5
    (ours, _), (powers, _) = rounded(x, TanFormat(bits=bits)), rounded(x, Log2Format(bits=bits))
    assert float((ours - x)[near].square().sum()) < 0.5 * float((powers - x)[near].square().sum())
    assert loss(x, TanFormat(bits=bits)) < loss(x, uniform(bits))
    assert loss(x, TanFormat(bits=bits)) < loss(x, Log2Format(bits=bits))


def test_numbers_on_levels_are_found_there():
    levels = arctangent(15, 4.0, 0.5).float()
    x = levels[torch.arange(640) % 16].view(16, 40) * 0.75
    assert loss(x, TanFormat(bits=4)) < 2e-5  # a step of even levels would lose some 1e-3
