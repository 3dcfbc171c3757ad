"""Multiplication by a fraction: exact rounding, a stated error, and no overflow."""

from fractions import Fraction

import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mpsearch.backends.integer_only.dyadic import Dyadic, dyadic, square_root
from mpsearch.backends.integer_only.grid import Grid, power_of_two
from mpsearch.core.errors import BadInput

ratios = st.builds(lambda top, bottom, sign: Fraction(sign * top, bottom),
                   st.integers(1, 1 << 80), st.integers(1, 1 << 80), st.sampled_from([1, -1]))
magnitudes = st.integers(0, (1 << 46) - 1)


def halves_up(product, shift):
    return (product + (1 << shift >> 1)) // (1 << shift)


@given(ratios, magnitudes)
@example(Fraction(1, 3), (1 << 31) - 1)
@example(Fraction((1 << 31) - 1, 1 << 31), 1)
def test_the_fraction_is_near_and_its_products_fit(ratio, magnitude):
    assume(abs(ratio) * magnitude < 1 << 45)
    assume(abs(ratio) < 1 << 40)
    number, shift = dyadic(ratio, magnitude)
    assert 0 <= shift <= 62
    assert abs(number) * magnitude + (1 << shift >> 1) < 1 << 63
    bits = min(31, 62 - magnitude.bit_length())
    error = abs(Fraction(number, 1 << shift) - ratio)
    assert error <= max(abs(ratio) / (1 << bits), Fraction(1, 1 << 63))
    assert shift == 0 or number % 2 == 1


@given(st.lists(ratios, min_size=1, max_size=4), st.integers(0, (1 << 31) - 1), st.data())
def test_the_tensor_computes_what_whole_numbers_do(given_ratios, magnitude, data):
    kept = [ratio if abs(ratio) < 1 << 20 else 1 / ratio for ratio in given_ratios]
    made = Dyadic.of(kept, magnitude, shape=(len(kept),))
    ends = st.sampled_from([-magnitude, magnitude, 0])
    rows = data.draw(st.lists(st.integers(-magnitude, magnitude) | ends, min_size=1, max_size=5))
    found = made(torch.tensor(rows)[:, None])
    pairs = [dyadic(ratio, magnitude) for ratio in kept]
    assert found.tolist() == [[halves_up(q * b, c) for b, c in pairs] for q in rows]
    assert made.ends(torch.tensor(min(rows)), torch.tensor(max(rows))) == (
        int(found.min()), int(found.max()))


@pytest.mark.parametrize(("ratio", "pair"), [
    (Fraction(1), (1, 0)), (Fraction(1, 8), (1, 3)), (Fraction(-3, 4), (-3, 2)),
    (Fraction(0), (0, 0)), (Fraction(16), (16, 0)), (Fraction(1, 1 << 70), (0, 0)),
])
def test_binary_fractions_are_exact(ratio, pair):
    assert dyadic(ratio, 100) == pair


def test_a_product_that_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="do not fit"):
        dyadic(Fraction(1 << 40), 1 << 30)


@given(st.integers(0, 1 << 40))
def test_square_roots_are_near(number):
    root = square_root(number)
    assert root * root <= number < (root + Fraction(1, 1 << 60)) ** 2


@given(st.builds(Fraction, st.integers(1, 1 << 60), st.integers(1, 1 << 60)),
       st.integers(12, 32))
def test_the_finest_power_of_two_holds_the_reach(reach, bits):
    scale = power_of_two(reach, bits)
    assert reach / scale <= (1 << (bits - 1)) - 2
    if scale > Fraction(1, 1 << 24):
        assert reach / (scale / 2) > (1 << (bits - 1)) - 2
    assert scale.numerator == 1 or scale.denominator == 1


@given(st.integers(-(1 << 40), 1 << 40), st.integers(0, 1 << 40))
def test_a_grid_knows_the_type_that_holds_it(low, more):
    grid = Grid(scale=Fraction(1), low=low, high=low + more)
    info = torch.iinfo(grid.dtype)
    assert info.min <= grid.low <= grid.high <= info.max
    narrower = {torch.int16: torch.int8, torch.int32: torch.int16, torch.int64: torch.int32}
    if grid.dtype in narrower:
        info = torch.iinfo(narrower[grid.dtype])
        assert grid.low < info.min or grid.high > info.max


@pytest.mark.parametrize("wrong", [
    {"scale": Fraction(0), "low": 0, "high": 1}, {"scale": Fraction(1), "low": 2, "high": 1},
    {"scale": Fraction(1), "low": 0, "high": 1 << 63}])
def test_no_grid_without_room(wrong):
    with pytest.raises(BadInput, match="no integers"):
        Grid(**wrong)
