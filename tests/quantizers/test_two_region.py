"""A fine and a coarse region of even steps."""

import pytest
import torch

from mpsearch.core.formats.levels import TwoRegionFormat
from mpsearch.quantizers.two_region import TwoRegion, by_sign, by_size
from tests.quantizers.level_cases import after_gelu, attention, loss, rounded, uniform


def test_levels_by_hand():
    assert (by_sign(3, 2) * 12).tolist() == pytest.approx([-4, -3, -2, -1, 0, 4, 8, 12])
    assert (by_size(3, 1) * 10).tolist() == pytest.approx([0, 1, 2, 3, 4, 6, 8, 10])
    assert (by_size(3, 2) * 16).tolist() == pytest.approx([0, 1, 2, 3, 4, 8, 12, 16])
    assert (by_size(3, 0) * 7).tolist() == pytest.approx(list(range(8)))


@pytest.mark.parametrize("bits", range(2, 9))
def test_no_code_is_spent_twice_and_all_are_whole_fine_steps(bits):
    for levels in TwoRegion().tables(TwoRegionFormat(bits=bits)):
        assert len(levels.unique()) == 2**bits
        fine = levels[levels != 0].abs().min()
        assert torch.allclose(levels / fine, (levels / fine).round(), atol=1e-9)


@pytest.mark.parametrize("bits", [3, 4, 6, 8])
def test_attention_loses_less_than_with_even_steps(bits):
    assert loss(attention(), TwoRegionFormat(bits=bits)) < loss(attention(), uniform(bits))


@pytest.mark.parametrize("bits", [6, 8])  # with fewer, numbers below 0 are best given up
def test_numbers_below_zero_after_a_gelu_lose_less_than_with_even_steps(bits):
    x = after_gelu()
    _, params = rounded(x, TwoRegionFormat(bits=bits))
    assert 1 <= int(params.more["table"]) <= 10  # divided at 0, with different steps
    below = x < 0
    fine, even = (rounded(x, fmt)[0] - x for fmt in (TwoRegionFormat(bits=bits), uniform(bits)))
    assert float(fine[below].square().sum()) < float(even[below].square().sum())


@pytest.mark.parametrize("m", [1, 4])
def test_the_ratio_is_found(m):
    levels = by_sign(4, m).float()
    x = levels[torch.arange(640) % 16].view(16, 40) * 3
    y, params = rounded(x, TwoRegionFormat(bits=4))
    assert float((y - x).abs().max()) < 1e-2 * float(levels[9]) * 3
    assert int(params.more["table"]) == m
