"""What a format stores, counted by hand, and what it refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat, registry, rows_of
from mpsearch.core.formats.codewords import VectorFormat
from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.formats.levels import (
    AdaLogFormat,
    Log2Format,
    LogSqrt2Format,
    SulqFormat,
    TanFormat,
    TwoRegionFormat,
)
from mpsearch.core.formats.lloyd import LloydFormat
from mpsearch.core.formats.normal_float import NormalFloatFormat
from mpsearch.core.formats.sparse import Sparse24Format
from mpsearch.core.formats.split import OutlierInputsFormat
from mpsearch.core.formats.trellis import TrellisFormat
from mpsearch.core.formats.twin_log import TwinLogFormat
from mpsearch.core.formats.words import widths_text

BITS = st.integers(2, 16)
GRANULARITIES = st.sampled_from(["tensor", "channel", "token"]) | st.integers(1, 300).map(
    "group:{}".format)
SHAPES = st.lists(st.integers(1, 40), min_size=1, max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("fmt", "shape", "bits"),
    [
        # 4 rows of 10 codes of 3 bits = 30 bits, padded to 32; a 16-bit scale a row; exponent 8
        (IntFormat(bits=3), (4, 10), 4 * 32 + 4 * 16 + 8),
        # one scale for all
        (IntFormat(bits=8, granularity="tensor"), (4, 10), 4 * 80 + 16 + 8),
        # groups of 4 in rows of 10: 4 + 4 + 2, three scales a row, the last for a ragged group
        (IntFormat(bits=4, granularity="group:4"), (2, 10), 2 * 40 + 2 * 3 * 16 + 8),
        # a group longer than the row is one scale a row
        (IntFormat(bits=4, granularity="group:128"), (2, 10), 2 * 40 + 2 * 16 + 8),
        # asymmetric: a zero point of whole bytes beside each scale
        (IntFormat(bits=5, symmetric=False), (3, 8), 3 * 40 + 3 * (16 + 8) + 8),
        (IntFormat(bits=9, symmetric=False), (3, 8), 3 * 72 + 3 * (16 + 16) + 8),
        # a convolution's row is input channels times kernel
        (IntFormat(bits=2), (8, 3, 3, 3), 8 * 56 + 8 * 16 + 8),
        # a vector is rows of one element
        (IntFormat(bits=2), (5,), 5 * 8 + 5 * 16 + 8),
    ],
)
def test_stored_bits_by_hand(fmt, shape, bits):
    assert fmt.stored_bits(shape) == bits


@given(bits=st.integers(2, 15), granularity=GRANULARITIES, symmetric=st.booleans(), shape=SHAPES)
def test_more_bits_never_store_less(bits, granularity, symmetric, shape):
    def stored(width):
        fmt = IntFormat(bits=width, granularity=granularity, symmetric=symmetric)
        return fmt.stored_bits(shape)

    assert stored(bits) <= stored(bits + 1)


@given(bits=BITS, size=st.integers(1, 200), shape=SHAPES)
def test_finer_scales_never_store_less(bits, size, shape):
    def stored(granularity):
        return IntFormat(bits=bits, granularity=granularity).stored_bits(shape)

    assert stored("tensor") <= stored("channel") <= stored(f"group:{size}")
    assert stored(f"group:{2 * size}") <= stored(f"group:{size}")


@given(bits=BITS, granularity=GRANULARITIES, symmetric=st.booleans(), shape=SHAPES)
def test_storage_holds_every_code_in_whole_bytes(bits, granularity, symmetric, shape):
    fmt = IntFormat(bits=bits, granularity=granularity, symmetric=symmetric)
    stored = fmt.stored_bits(shape)
    assert stored % 8 == 0
    assert stored >= bits * math.prod(shape) + 16 * fmt.slices(shape)


@given(bits=BITS, symmetric=st.booleans())
def test_code_range_has_two_to_the_bits_codes(bits, symmetric):
    low, high = IntFormat(bits=bits, symmetric=symmetric).code_range
    assert high - low + 1 == 2**bits
    assert low == (-(2 ** (bits - 1)) if symmetric else 0)


def test_what_scales_tokens_is_not_searched_for():
    assert IntFormat(bits=8, granularity="token").scale == "absmax"
    assert IntFormat(bits=8).scale == "least_squares"
    for rule in ("percentile", "least_squares"):
        with pytest.raises(BadInput, match=f"token needs scale absmax, not {rule}"):
            IntFormat(bits=8, granularity="token", scale=rule)


@pytest.mark.parametrize("kind", registry.BUILTIN)
def test_equal_widths_make_one_format(kind):
    cls = registry.format_class(kind)
    width = cls.WIDTHS[cls.WIDTHS.index(4)]
    one, same = cls(bits=4.0), cls(bits=4)
    assert (one.key, registry.write(one)) == (same.key, registry.write(same))
    assert type(one.bits) is type(width)


def test_whole_thresholds_are_numbers_like_others():
    one, same = (OutlierInputsFormat(bits=8, threshold=each) for each in (6, 6.0))
    assert one.key == same.key
    assert type(registry.write(one)["threshold"]) is float


@pytest.mark.parametrize(("fmt", "bits"), [
    (IntFormat(bits=4), 4), (FloatFormat(bits=6), 6), (NormalFloatFormat(bits=4), 16),
    (LloydFormat(bits=4), 16), (VectorFormat(bits=2), 16), (TrellisFormat(bits=2), 16),
    (TwinLogFormat(bits=4), 16), (TanFormat(bits=4), 16), (SulqFormat(bits=4), 16),
    (AdaLogFormat(bits=4), 5), (Log2Format(bits=4), 4), (LogSqrt2Format(bits=4), 4),
    (TwoRegionFormat(bits=4), 4), (Sparse24Format(bits=4), 2),
], ids=lambda value: getattr(value, "kind", str(value)))
def test_multiplications_see_what_levels_are_read_as(fmt, bits):
    assert fmt.arithmetic_bits == bits


@pytest.mark.parametrize(("widths", "text"), [
    (IntFormat.WIDTHS, "2 to 16"), (TrellisFormat.WIDTHS, "1.5 to 5 in steps of 0.25"),
    (VectorFormat.WIDTHS, "1 to 4 in steps of 0.125, 4.5 to 8 in steps of 0.5"),
    ((3, 4), "3, 4"), ((2, 4, 8), "2, 4, 8"), ((1, 2, 4, 5, 6), "1, 2, 4 to 6"), ((4,), "4"),
])
def test_widths_for_people(widths, text):
    assert widths_text(widths) == text


def test_groups_are_read_from_the_granularity():
    assert IntFormat(bits=4, granularity="group:64").group_size == 64
    assert IntFormat(bits=4, granularity="channel").group_size is None
    assert IntFormat(bits=8, granularity="token").dynamic
    assert not IntFormat(bits=8, granularity="tensor").dynamic


def test_rows_are_output_channels():
    assert rows_of((8, 3, 3, 3)) == (8, 27)
    assert rows_of((5,)) == (5, 1)


def test_text_is_short():
    assert str(IntFormat(bits=4)) == "4s/channel"
    assert str(IntFormat(bits=8, symmetric=False, granularity="token")) == "8u/token"


@pytest.mark.parametrize("bits", [-1, 0, 1, 17])
def test_refuses_bits(bits):
    with pytest.raises(BadInput, match=f"2 to 16 bits, not {bits}"):
        IntFormat(bits=bits)


@pytest.mark.parametrize("text", ["", "row", "group", "group:", "group:0", "group:-4", "group:4 "])
def test_refuses_granularity(text):
    with pytest.raises(BadInput, match="unknown granularity"):
        IntFormat(bits=4, granularity=text)
