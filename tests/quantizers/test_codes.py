"""What every uniform integer code must hold, whatever the tensor, format and rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.base import Params, fake_quantize
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.uniform import Uniform
from tests.formats import integer

UNIFORM = Uniform()
FORMATS = st.builds(
    integer,
    bits=st.integers(2, 16),
    symmetric=st.booleans(),
    granularity=st.one_of(
        st.sampled_from(["tensor", "channel", "token"]), st.integers(1, 9).map("group:{}".format)
    ),
    scale=st.sampled_from(["absmax", "percentile", "least_squares"]),
)
SHAPES = st.one_of(
    st.lists(st.integers(1, 7), min_size=1, max_size=2).map(tuple),
    st.lists(st.integers(1, 3), min_size=3, max_size=4).map(tuple),
)
# Beyond 2**127 a code next to the largest number may decode to infinity.
FLOATS = st.floats(-(2.0**127), 2.0**127, width=32)


@st.composite
def tensors(draw):
    """Any finite float32 numbers: denormal, enormous, zero, repeated."""
    shape = draw(SHAPES)
    size = torch.Size(shape).numel()
    few = draw(st.lists(FLOATS, min_size=1, max_size=5))
    return torch.tensor(draw(st.lists(st.sampled_from(few) | FLOATS, min_size=size,
                                      max_size=size))).reshape(shape)


EXTREMES = [torch.tensor([[0.0]]), torch.tensor([[-0.0, 1.7e38, -1.7e38]]),
            torch.tensor([[1e-45], [1.0]]), torch.tensor([[1e-45, 2e-45]])]


def spread(part, layout, width):
    """One number a slice as a tensor of the layout's shape, in float64."""
    return layout.from_slices(part.expand(-1, width)).double()


def errors(x, fmt):
    """Distance of each element from its decoded code, half its step, and its reach."""
    (params,) = UNIFORM.fit(x, [fmt])
    layout = layout_of(x.shape, fmt)
    width = layout.to_slices(x).shape[1]
    scale, zero = (spread(part, layout, width) for part in (params.scale, params.zero_point))
    error = (fake_quantize(UNIFORM, x, params, fmt).double() - x.double()).abs()
    first, last = fmt.code_range
    inside = ((first - zero) * scale <= x) & (x <= (last - zero) * scale)
    rounding = scale * 1e-6 + x.double().abs() * 2.0**-22 + 2.0**-149
    return error, scale / 2 + rounding, inside


@settings(max_examples=50)
@given(tensors(), FORMATS)
@example(EXTREMES[0], IntFormat(bits=2, symmetric=False))
@example(EXTREMES[1], IntFormat(bits=2, symmetric=False))
@example(EXTREMES[2], IntFormat(bits=16))
@example(EXTREMES[3], IntFormat(bits=16, granularity="token"))
def test_codes_and_zero_points_stay_in_range(x, fmt):
    (params,) = UNIFORM.fit(x, [fmt])
    codes = UNIFORM.encode(x, params, fmt)
    first, last = fmt.code_range
    assert codes.dtype == params.zero_point.dtype == torch.int32
    assert codes.shape == x.shape
    assert params.scale.shape == params.zero_point.shape == (layout_of(x.shape, fmt).slices, 1)
    assert first <= codes.min() <= codes.max() <= last
    assert first <= params.zero_point.min() <= params.zero_point.max() <= last
    assert not fmt.symmetric or not params.zero_point.any()


@settings(max_examples=50)
@given(tensors(), FORMATS)
def test_what_is_not_clipped_is_within_half_a_step(x, fmt):
    error, half_step, inside = errors(x, fmt)
    assert bool((error <= half_step)[inside].all())


@settings(max_examples=50)
@given(tensors(), FORMATS.map(lambda fmt: replace(fmt, scale="absmax")))
@example(EXTREMES[1], IntFormat(bits=2, scale="absmax"))
def test_absmax_clips_nothing(x, fmt):
    error, half_step, _ = errors(x, fmt)
    assert bool((error <= half_step).all())


@settings(max_examples=50)
@given(tensors(), FORMATS)
@example(EXTREMES[2], IntFormat(bits=16))
def test_every_code_decodes_and_encodes_to_itself(x, fmt):
    (params,) = UNIFORM.fit(x, [fmt])
    first, last = fmt.code_range
    every = torch.linspace(first, last, x.numel()).round().int().reshape(x.shape)
    decoded = UNIFORM.decode(every, params, fmt)
    if bool(decoded.isfinite().all()):  # 2**127 times the last code need not be
        assert torch.equal(UNIFORM.encode(decoded, params, fmt), every)


@settings(max_examples=50)
@given(tensors(), FORMATS)
def test_a_second_round_trip_changes_nothing(x, fmt):
    (params,) = UNIFORM.fit(x, [fmt])
    once = fake_quantize(UNIFORM, x, params, fmt)
    assert torch.equal(fake_quantize(UNIFORM, once, params, fmt), once)


@settings(max_examples=50)
@given(tensors(), FORMATS)
def test_zero_is_exact(x, fmt):
    (params,) = UNIFORM.fit(x, [fmt])
    zeros = torch.zeros_like(x)
    decoded = fake_quantize(UNIFORM, zeros, params, fmt)
    assert torch.equal(decoded, zeros)
    assert not bool(decoded.signbit().any())


@settings(max_examples=50)
@given(tensors(), st.lists(FORMATS, min_size=2, max_size=6))
def test_formats_fitted_together_are_fitted_as_alone(x, formats):
    for fmt, together in zip(formats, UNIFORM.fit(x, formats), strict=True):
        (alone,) = UNIFORM.fit(x, [fmt])
        assert torch.equal(together.scale, alone.scale)
        assert torch.equal(together.zero_point, alone.zero_point)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_first(dtype):
    x = torch.randn(5, 40).to(dtype)
    fmt = IntFormat(bits=4, granularity="group:16")
    (params,) = UNIFORM.fit(x, [fmt])
    (wide,) = UNIFORM.fit(x.float(), [fmt])
    assert torch.equal(params.scale, wide.scale)
    assert fake_quantize(UNIFORM, x, params, fmt).dtype == dtype
    codes = UNIFORM.encode(x, params, fmt)
    assert torch.equal(codes, UNIFORM.encode(x.float(), wide, fmt))
    assert UNIFORM.decode(codes, params, fmt).dtype == torch.float32


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("granularity", ["tensor", "channel", "group:3", "token"])
def test_numbers_that_are_not_finite_are_refused(bad, granularity):
    fmt = IntFormat(bits=8, granularity=granularity)
    x = torch.randn(4, 8)
    (params,) = UNIFORM.fit(x, [fmt])
    x[2, 5] = bad
    with pytest.raises(BadInput, match="not finite"):
        UNIFORM.fit(x, [fmt])
    with pytest.raises(BadInput, match="not finite"):
        UNIFORM.encode(x, params, fmt)


def test_an_empty_tensor_has_no_parameters():
    with pytest.raises(BadInput, match=r"empty tensor of shape \(0, 3\)"):
        UNIFORM.fit(torch.zeros(0, 3), [IntFormat(bits=8)])


def test_parameters_of_another_shape_are_refused():
    params = Params(scale=torch.ones(3, 1), zero_point=torch.zeros(3, 1, dtype=torch.int32))
    with pytest.raises(BadInput, match=r"3 scales for a tensor of shape \(4, 2\) that needs 4"):
        UNIFORM.encode(torch.zeros(4, 2), params, IntFormat(bits=8))
    with pytest.raises(BadInput, match="that needs 4"):
        UNIFORM.decode(torch.zeros(4, 2, dtype=torch.int32), params, IntFormat(bits=8))


def test_a_parameter_that_needs_gradients_can_be_quantized():
    weight = torch.nn.Parameter(torch.randn(3, 8))
    fmt = IntFormat(bits=3)
    (params,) = UNIFORM.fit(weight, [fmt])
    assert not UNIFORM.encode(weight, params, fmt).requires_grad
