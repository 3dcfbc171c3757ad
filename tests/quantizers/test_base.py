from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core import io
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import StaticRange
from mpsearch.quantizers.base import fake_quantize, from_static, to_static
from mpsearch.quantizers.uniform import Uniform


@given(st.floats(2.0**-120, 2.0**120, width=32), st.integers(0, 65535))
def test_a_static_range_survives_json(scale, zero_point):
    static = StaticRange(scale=scale, zero_point=zero_point)
    read = io.loads(io.dumps(static), StaticRange, where="here")
    params = from_static(read)
    assert params.scale.dtype == torch.float32
    assert params.zero_point.dtype == torch.int32
    assert to_static(params) == static


def test_a_calibrated_range_quantizes_as_its_parameters_did():
    x = torch.randn(2, 5, 8).relu()
    fmt = IntFormat(bits=8, symmetric=False, granularity="tensor", scale="percentile")
    (params,) = Uniform().fit(x, [fmt])
    again = from_static(to_static(params))
    assert torch.equal(
        fake_quantize(Uniform(), x, params, fmt), fake_quantize(Uniform(), x, again, fmt)
    )


def test_many_scales_are_no_static_range():
    (params,) = Uniform().fit(torch.randn(3, 8), [IntFormat(bits=8)])
    with pytest.raises(BadInput, match="one scale, not 3"):
        to_static(params)
