from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.bitstream import pack, unpack

SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)


def random_codes(shape, fmt, seed):
    first, last = fmt.code_range
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(first, last + 1, shape, generator=generator, dtype=torch.int32)


def packed_by_hand(row, fmt):
    """The bytes of one row, as one large number written out."""
    number = sum((code - fmt.code_range[0]) << (i * fmt.bits) for i, code in enumerate(row))
    return list(number.to_bytes(math.ceil(len(row) * fmt.bits / 8), "little"))


@given(SHAPES, st.integers(2, 16), st.booleans(), st.integers(0, 2**32))
def test_packing_follows_its_definition_and_is_undone_exactly(shape, bits, symmetric, seed):
    fmt = IntFormat(bits=bits, symmetric=symmetric)
    codes = random_codes(shape, fmt, seed)
    packed = pack(codes, fmt)
    rows = codes.reshape(shape[0], -1)
    assert packed.dtype == torch.uint8
    assert packed.tolist() == [packed_by_hand(row, fmt) for row in rows.tolist()]
    assert torch.equal(unpack(packed, fmt, shape), codes)


def test_three_bits_by_eye():
    codes = torch.tensor([[1, 2, 3]], dtype=torch.int32)
    assert pack(codes, IntFormat(bits=3, symmetric=False)).tolist() == [[0b11010001, 0b0]]
    assert pack(codes - 4, IntFormat(bits=3)).tolist() == [[0b11010001, 0b0]]


@pytest.mark.parametrize("code", [-3, 2])
def test_a_code_outside_the_range_is_refused(code):
    with pytest.raises(BadInput, match="do not fit 2s/channel, whose codes go from -2 to 1"):
        pack(torch.tensor([[0, code]], dtype=torch.int32), IntFormat(bits=2))


def test_a_stream_of_another_size_is_refused():
    packed = pack(torch.zeros(2, 9, dtype=torch.int32), IntFormat(bits=4))
    with pytest.raises(BadInput, match=r"expected \(2, 6\)"):
        unpack(packed, IntFormat(bits=5), (2, 9))
