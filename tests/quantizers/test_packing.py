from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.packing import packed_tensors, unpacked
from mpsearch.quantizers.uniform import Uniform

UNIFORM = Uniform()
STORED = st.builds(
    IntFormat,
    bits=st.integers(2, 16),
    symmetric=st.booleans(),
    granularity=st.sampled_from(["tensor", "channel", "group:1", "group:5", "group:64"]),
    scale=st.sampled_from(["absmax", "percentile", "least_squares"]),
)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 40)),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 9)),
)


def weight(tensor, shape, exponent=0):
    return tensor("normal", shape, 0) * 2.0**exponent


@given(SHAPES, STORED, st.integers(-140, 120))
def test_stored_tensors_weigh_what_the_format_says_and_restore_exactly(
    tensor, shape, fmt, exponent
):
    x = weight(tensor, shape, exponent)
    (params,) = UNIFORM.fit(x, [fmt])
    codes = UNIFORM.encode(x, params, fmt)
    tensors = packed_tensors(codes, params, fmt)
    assert 8 * sum(part.nbytes for part in tensors.values()) == fmt.stored_bits(shape)
    again, restored = unpacked(load(save(tensors)), fmt, shape)
    assert torch.equal(again, codes)
    assert torch.equal(restored.scale, params.scale)
    assert torch.equal(restored.zero_point, params.zero_point)


@pytest.mark.parametrize(("bits", "zero"), [(4, torch.uint8), (8, torch.uint8),
                                            (9, torch.uint16), (16, torch.uint16)])
def test_names_and_types_of_what_is_stored(tensor, bits, zero):
    fmt = IntFormat(bits=bits, symmetric=False, granularity="group:8")
    x = weight(tensor, (3, 20))
    (params,) = UNIFORM.fit(x, [fmt])
    tensors = packed_tensors(UNIFORM.encode(x, params, fmt), params, fmt)
    assert {name: (part.dtype, tuple(part.shape)) for name, part in tensors.items()} == {
        "weight_packed": (torch.uint8, (3, -(-20 * bits // 8))),
        "weight_scale": (torch.float16, (9,)),
        "weight_scale_exponent": (torch.int8, (1,)),
        "weight_zero_point": (zero, (9,)),
    }


def test_formats_and_scales_that_cannot_be_stored_are_refused(tensor):
    x = weight(tensor, (4, 8))
    token, channel = IntFormat(bits=8, granularity="token"), IntFormat(bits=8)
    (dynamic,) = UNIFORM.fit(x, [token])
    codes = UNIFORM.encode(x, dynamic, token)
    with pytest.raises(BadInput, match=r"cannot store 4 scales .* in 8s/token"):
        packed_tensors(codes, dynamic, token)
    with pytest.raises(BadInput, match="not rounded for storage"):
        packed_tensors(codes, dynamic, channel)
    with pytest.raises(BadInput, match="cannot store 4 scales"):
        packed_tensors(codes, dynamic, IntFormat(bits=8, granularity="tensor"))


def test_incomplete_or_wrong_tensors_are_refused(tensor):
    fmt = IntFormat(bits=4, symmetric=False)
    x = weight(tensor, (4, 8))
    (params,) = UNIFORM.fit(x, [fmt])
    tensors = packed_tensors(UNIFORM.encode(x, params, fmt), params, fmt)
    with pytest.raises(BadInput, match="4 stored scales"):
        unpacked(tensors, fmt, (2, 16))
    del tensors["weight_zero_point"]
    with pytest.raises(BadInput, match="lacks weight_zero_point"):
        unpacked(tensors, fmt, (4, 8))
