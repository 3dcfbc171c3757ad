"""Two of every four: the codes by hand, what pruning and rounding lose, and what they weigh."""

from __future__ import annotations

from math import erf, exp, pi, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.sparse import Sparse24Format
from mpsearch.quantizers.base import Params, fake_quantize
from mpsearch.quantizers.sparse24 import Sparse24

SPARSE = Sparse24()
FORMATS = st.builds(
    Sparse24Format, bits=st.integers(2, 8),
    granularity=st.sampled_from(["tensor", "channel", "group:3", "group:4", "group:16"]),
    scale=st.sampled_from(["absmax", "percentile", "least_squares"]))


def exactly(scale):
    return Params(scale=torch.tensor([[scale]]), zero_point=torch.zeros(1, 1, dtype=torch.int32))


def test_a_code_by_hand():
    fmt = Sparse24Format(bits=3, granularity="tensor")
    x = torch.tensor([[0.5, -2.0, 0.0, 1.5]])
    # places 1 and 3; -4 and 3 in steps of a half, the second one clipped: 0 and 7 from -4
    code = SPARSE.encode(x, exactly(0.5), fmt)
    assert code.tolist() == [[1 | 3 << 2 | 0 << 4 | 7 << 7]]
    assert SPARSE.decode(code, exactly(0.5), fmt, shape=(1, 4)).tolist() == [[0, -2, 0, 1.5]]


def test_the_first_of_equal_magnitudes_are_kept():
    fmt = Sparse24Format(bits=4, granularity="tensor")
    x = torch.tensor([[1.0, -1.0, 1.0, -1.0, 0.5, 1.0, 1.0, -1.0]])
    assert fake_quantize(SPARSE, x, exactly(0.5), fmt).tolist() == [[1, -1, 0, 0, 0, 1, 1, 0]]


@pytest.mark.parametrize(("bits", "stored"), [(8, 5.0), (4, 3.0)])
def test_published_sizes(bits, stored):
    # Yu et al. 2023: an 8-bit weight takes 5 bits, a 4-bit one 3, scales aside
    fmt = Sparse24Format(bits=bits)
    rows, codes = fmt.codes((64, 192))
    assert rows * codes * fmt.code_bits == stored * 64 * 192
    assert fmt.stored_bits((64, 192)) == stored * 64 * 192 + 64 * 16 + 8
    assert fmt.arithmetic_bits == bits / 2


def test_a_row_is_filled_up_to_fours():
    fmt = Sparse24Format(bits=2)
    assert fmt.codes((3, 9)) == (3, 3)
    assert fmt.stored_bits((3, 9)) == 3 * 24 + 3 * 16 + 8


@given(FORMATS, st.integers(1, 5), st.integers(1, 30), st.integers(0, 2**32))
def test_no_four_has_more_than_two_and_they_are_the_largest(fmt, rows, length, seed):
    x = torch.randn(rows, length, generator=torch.Generator().manual_seed(seed))
    (params,) = SPARSE.fit(x, [fmt])
    y = fake_quantize(SPARSE, x, params, fmt)
    for first in range(0, length, 4):
        for own, left in zip(x[:, first:first + 4].abs(), y[:, first:first + 4], strict=True):
            assert int((left != 0).sum()) <= 2
            dropped = own[left == 0].max() if bool((left == 0).any()) else own.new_zeros(())
            kept = own.sort(descending=True).values[:2]
            assert bool((own[left != 0] >= kept[-1]).all())
            assert len(own) <= 2 or float(dropped) >= float(own.sort().values[-3])


def normal(a):
    return exp(-a * a / 2) / sqrt(2 * pi)


def beyond(a):
    """Share of unit normal numbers whose magnitude is above *a*."""
    return 1 - erf(a / sqrt(2))


def kept_density(a):
    """How likely a number of magnitude *a* is, and is among the two largest of four.

    Of the three others at most one is larger.
    """
    above = beyond(a)
    return 2 * normal(a) * ((1 - above) ** 3 + 3 * above * (1 - above) ** 2)


GRID = [(i + 0.5) / 400 for i in range(3200)]  # magnitudes up to 8, and their densities
KEPT = [kept_density(a) / 400 for a in GRID]


def pruned():
    """Mean square that pruning takes from a unit normal number."""
    return 1 - sum(p * a * a for p, a in zip(KEPT, GRID, strict=True))


def rounded(bits, step):
    """Mean squared error that rounding what is kept adds, either sign as likely."""
    last = 2 ** (bits - 1)
    return sum(p * ((a - step * min(round(a / step), last - 1)) ** 2
                    + (a - step * min(round(a / step), last)) ** 2) / 2
               for p, a in zip(KEPT, GRID, strict=True))


def test_the_integral_knows_that_half_are_kept():
    assert sum(KEPT) == pytest.approx(0.5, rel=1e-4)
    x = torch.randn(1 << 20, 4, generator=torch.Generator().manual_seed(0)).double()
    least = x.abs().sort(1).values[:, :2].square().sum() / x.square().sum()
    assert pruned() == pytest.approx(float(least), rel=5e-3)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_error_on_normal_numbers_is_that_of_the_integral(bits):
    best = pruned() + min(rounded(bits, top / 100 / 2 ** (bits - 1)) for top in range(150, 500, 5))
    x = torch.randn(1, 1 << 18, generator=torch.Generator().manual_seed(1))
    fmt = Sparse24Format(bits=bits)
    (params,) = SPARSE.fit(x, [fmt])
    found = (fake_quantize(SPARSE, x, params, fmt) - x).square().mean() / x.square().mean()
    assert float(found) == pytest.approx(best, rel=0.01)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="sparse24 has 2 to 8 bits, not 9"):
        Sparse24Format(bits=9)
    with pytest.raises(BadInput, match="no granularity 'token'"):
        Sparse24Format(bits=4, granularity="token")
    with pytest.raises(BadInput, match="'best' is not one of absmax"):
        Sparse24Format(bits=4, scale="best")
