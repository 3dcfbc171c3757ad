"""Integer functions: bit for bit what whole numbers give, and near the float function."""

import importlib.util
import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from mpsearch.backends.integer_only.lambda_gelu import lambda_shift_gelu
from mpsearch.backends.integer_only.layer_norm import normalise, widest
from mpsearch.backends.integer_only.quadratic_exp2 import quadratic_exp2
from mpsearch.backends.integer_only.shift_exp import shift_exp
from mpsearch.backends.integer_only.shift_gelu import shift_gelu, times_1702
from mpsearch.backends.integer_only.shiftmax import shiftmax
from mpsearch.backends.integer_only.square_root import bit_length, integer_sqrt
from mpsearch.backends.integer_only.tanh_gelu import tanh_gelu

SPEC = importlib.util.spec_from_file_location("references",
                                              Path(__file__).with_name("references.py"))
by_hand = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(by_hand)

LAST = (1 << 31) - 1
codes = st.integers(-LAST, LAST) | st.sampled_from([-LAST, -1, 0, 1, LAST]) | st.integers(-999, 999)
rows = st.lists(codes, min_size=1, max_size=9)
places = st.integers(1, 16)


@given(st.lists(st.integers(0, 1 << 34), min_size=1), places, st.sampled_from([8, 15, 23]))
def test_shift_exp(distances, places, depth):
    found = shift_exp(torch.tensor(distances), places, depth)
    assert found.tolist() == [by_hand.shift_exp(d, places, depth) for d in distances]
    assert int(found.min()) >= 1 << places
    assert int(found.max()) <= 1 << (places + depth)


@given(rows, places, st.sampled_from([8, 16]))
@example([LAST] * 9, 16, 16)
@example([LAST, -LAST], 16, 16)
def test_shiftmax(row, places, bits):
    found = shiftmax(torch.tensor([row]), places=places, bits=bits)[0]
    assert found.tolist() == by_hand.shiftmax(row, places, bits=bits)
    assert int(found.min()) >= 0
    assert int(found.max()) <= 1 << (bits - 1)


def test_shiftmax_of_the_longest_rows_does_not_overflow():
    row = torch.full((1, 1 << 16), LAST, dtype=torch.int32)
    assert int(shiftmax(row, places=30, bits=31).sum()) == 1 << 30


@given(rows, places)
@example([LAST, -LAST], 16)
def test_shift_gelu(row, places):
    found = shift_gelu(torch.tensor([row]), places=places)[0]
    assert found.tolist() == by_hand.shift_gelu(row, places)
    assert all(min(0, x) <= y <= max(0, x) for x, y in zip(row, found.tolist(), strict=True))


@given(rows, places)
@example([LAST, -LAST], 16)
def test_lambda_shift_gelu(row, places):
    found = lambda_shift_gelu(torch.tensor(row), places=places)
    assert found.tolist() == [by_hand.lambda_shift_gelu(x, places) for x in row]
    assert all(min(0, x) <= y <= max(0, x) for x, y in zip(row, found.tolist(), strict=True))


@given(rows, places)
@example([LAST, -LAST], 16)
def test_tanh_gelu(row, places):
    found = tanh_gelu(torch.tensor(row), places=places)
    assert found.tolist() == [by_hand.tanh_gelu(x, places) for x in row]
    assert all(min(0, x) <= y <= max(0, x) for x, y in zip(row, found.tolist(), strict=True))


@given(st.lists(st.integers(0, 1 << 40), min_size=1), places)
def test_quadratic_exp2(exponents, places):
    found = quadratic_exp2(torch.tensor(exponents), places).tolist()
    assert found == [by_hand.exp2(t, places) for t in exponents]


@given(st.lists(st.integers(0, 1 << 62) | st.integers(0, 1 << 31).map(lambda x: x * x)
                | st.integers(1, 1 << 31).map(lambda x: x * x - 1), min_size=1))
@example([0, 1, 2, 3, (1 << 62) - 1, 1 << 62])
def test_integer_sqrt(numbers):
    tensor = torch.tensor(numbers)
    assert bit_length(tensor).tolist() == [number.bit_length() for number in numbers]
    assert integer_sqrt(tensor).tolist() == [math.isqrt(number) for number in numbers]


@given(st.integers(1, 9), st.integers(1, 1 << 40), st.data())
def test_normalise(count, epsilon, data):
    span = min(widest(count, epsilon), (1 << 32) - 2)
    low = data.draw(st.integers(-LAST, LAST - span))
    within = st.integers(low, low + span) | st.sampled_from([low, low + span]) | st.integers(
        low, low + min(span, 5))
    row = data.draw(st.lists(within, min_size=count, max_size=count))
    found = normalise(torch.tensor([row]), epsilon=epsilon)[0].tolist()
    assert found == by_hand.normalise(row, epsilon)
    assert max(map(abs, found)) <= 1 << 30


@given(st.integers(1, 4096), st.integers(1, 1 << 61))
def test_the_widest_row_that_can_be_normalised(count, epsilon):
    span = widest(count, epsilon)
    assert Fraction(count, 4) * (span * span + 1) + epsilon < 1 << 62
    assert Fraction(count, 4) * ((span + 2) ** 2 + 1) + epsilon >= 1 << 62


EIGHT = torch.arange(-128, 128)  # every number of 8 bits, with 4 binary places: from -8 to 8


@pytest.mark.parametrize(("function", "most"), [
    (lambda_shift_gelu, 0.0625), (tanh_gelu, 0.034)])
def test_gelu_of_eight_bits_is_near(function, most):
    """A step of the result is 0.0625; rounding to the nearest alone may be off by half of it."""
    error = (function(EIGHT, places=4).double() / 16 - F.gelu(EIGHT.double() / 16)).abs()
    assert 0.02 < float(error.max()) < most


@pytest.mark.parametrize(("function", "least", "most"), [
    (lambda_shift_gelu, 0.02, 0.024), (tanh_gelu, 0.0003, 0.0006)])
def test_gelu_of_many_bits_is_off_by_its_form_alone(function, least, most):
    x = torch.arange(-10 << 16, 10 << 16, 11)
    error = (function(x, places=16).double() / 65536 - F.gelu(x.double() / 65536)).abs()
    assert least < float(error.max()) < most


def test_plain_shift_gelu_is_near_where_rows_have_no_long_tail():
    x = torch.arange(-128, 64).reshape(1, -1)  # up to 4
    error = (shift_gelu(x, places=4).double() / 16 - F.gelu(x.double() / 16)).abs()
    assert float(error.max()) < 0.06


def test_a_long_tail_ruins_plain_shift_gelu_and_not_the_clipped_one():
    x = torch.tensor([[-2.0, 1.0, 16.0]]) * 4096
    exact = F.gelu(x.double() / 4096)
    plain, clipped = (f(x.long(), places=12).double() / 4096 for f in (shift_gelu,
                                                                        lambda_shift_gelu))
    assert float((plain - exact).abs().max()) > 0.5
    assert float((clipped - exact).abs().max()) < 0.03


def test_shiftmax_of_eight_bits_is_near():
    torch.manual_seed(0)
    x = torch.randint(-128, 128, (500, 33))
    exact = (x.double() / 16).softmax(-1)
    for bits, most in ((16, 0.025), (8, 0.029)):
        found = shiftmax(x, places=4, bits=bits).double() / 2 ** (bits - 1)
        assert float((found - exact).abs().max()) < most
    assert float((shiftmax(x, places=4).double().sum(-1) / 2**15 - 1).abs().max()) < 33 * 2**-16


def test_a_long_row_keeps_its_sum():
    """The published sum ends at 2**31 - 1, far below that of this row in these units."""
    row = torch.zeros(1, 1000, dtype=torch.int32)
    assert float(shiftmax(row, places=12, bits=24).sum()) / 2**23 == pytest.approx(1, abs=1e-4)


def test_normalised_rows_of_eight_bits_are_near():
    torch.manual_seed(0)
    x = torch.randint(-128, 128, (200, 48))
    exact = F.layer_norm(x.double() / 16, (48,), eps=1e-6)
    found = normalise(x, epsilon=max(1, int(48 * 1e-6 * 256))).double() * 2**-30 * 48**0.5
    assert float((found - exact).abs().max()) < 0.011  # the mean is rounded: 2**-5 over the spread


def test_the_factor_of_the_sigmoid():
    x = torch.tensor([-(1 << 30), 1 << 30])
    assert (times_1702(x).double() / x).tolist() == [1.703125, 1.703125]
