"""Logarithmic levels by hand, and on numbers after a softmax and a GELU."""

from math import log2, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.formats.levels import AdaLogFormat, Log2Format, LogSqrt2Format, SulqFormat
from mpsearch.quantizers.adalog import AdaLog, decode_table
from mpsearch.quantizers.log_sqrt2 import LogSqrt2
from mpsearch.quantizers.sulq import Sulq, shifted_powers
from tests.quantizers.level_cases import after_gelu, attention, loss, rounded, uniform


def test_half_powers_by_hand():
    (levels,) = LogSqrt2().tables(LogSqrt2Format(bits=3))
    root = sqrt(2)
    assert levels.tolist() == pytest.approx(
        [0, 1 / 8, root / 8, 1 / 4, root / 4, 1 / 2, root / 2, 1], rel=1e-15)


@pytest.mark.parametrize("bits", range(2, 9))
def test_shifted_powers_are_even_in_the_logarithm_and_fill_their_codes(bits):
    tables = Sulq().tables(SulqFormat(bits=bits))
    assert tables.shape == (11, 2**bits)
    for eta, levels in zip((0.001, 1.0), (tables[0], tables[-1]), strict=True):
        steps = (levels + eta).log2().diff()
        assert torch.allclose(steps, torch.full_like(steps, log2((1 + eta) / eta) / (2**bits - 1)))
        assert levels[[0, -1]].tolist() == [0, 1]


def test_one_step_of_a_shifted_power_by_hand():
    # from log2(1/8) to log2(9/8) in two steps of log2(9) / 2 = log2(3): 1/8, 3/8, 9/8
    assert shifted_powers(2, 1 / 8).tolist() == pytest.approx([0, 1 / 4, 1])


def test_the_decode_table_by_hand():
    shift, mantissa = decode_table(3, 37)  # base 2: whole shifts, one mantissa
    assert shift.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert mantissa.tolist() == [14] * 7
    shift, mantissa = decode_table(2, 20)
    assert shift.tolist() == [0, 0, 1]  # 0, 20 and 40 of 37
    assert mantissa.tolist() == [6, 4, 6]  # 6 * 2**(-20 / 37) = 4.13, 6 * 2**(-3 / 37) = 5.67


@given(st.integers(2, 8), st.integers(1, 128))
def test_mantissas_have_their_bits_and_are_as_near_as_these_allow(bits, q):
    shift, mantissa = decode_table(bits, q)
    whole = 2 ** (bits + 1) - 2
    assert 2**bits - 1 <= int(mantissa.min()) <= int(mantissa.max()) <= whole
    values = mantissa.double() * 2.0 ** -shift.double() / whole
    power = 2.0 ** (-torch.arange(2**bits - 1).double() * q / 37)
    assert bool(((values - power).abs() <= 0.5001 / whole * 2.0 ** -shift.double()).all())


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_levels_of_every_base_are_those_of_the_decode_table(bits):
    tables = AdaLog().tables(AdaLogFormat(bits=bits))
    assert 1 <= len(tables) <= 256
    for q, levels in enumerate(tables, start=1):
        shift, mantissa = decode_table(bits, q)
        values = mantissa.double() * 2.0 ** -shift.double() / (2 ** (bits + 1) - 2)
        assert torch.equal(levels, torch.cat([torch.zeros(1), values.flip(0)]))


def test_a_searched_base_beats_both_fixed_ones_after_a_softmax():
    x = attention()
    for bits in (3, 4, 5):
        fixed = [loss(x, kind(bits=bits)) for kind in (Log2Format, LogSqrt2Format)]
        assert loss(x, AdaLogFormat(bits=bits)) < min(fixed)
        assert loss(x, SulqFormat(bits=bits)) < min(fixed)
        assert loss(x, SulqFormat(bits=bits)) < loss(x, uniform(bits))


def test_the_shift_after_a_gelu_is_found():
    x = after_gelu()
    _, params = rounded(x, AdaLogFormat(bits=4))
    assert float(params.more["shift"]) == pytest.approx(-0.16997, abs=1e-3)  # as published
    assert loss(x, AdaLogFormat(bits=4)) < 0.75 * loss(x, Log2Format(bits=4))
