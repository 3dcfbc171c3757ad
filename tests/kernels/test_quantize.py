"""Activation codes: those of the uniform quantizer, bit for bit."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.kernels import quantize
from mpsearch.kernels.library import using
from mpsearch.quantizers.uniform import Uniform

WIDTHS = (*range(2, 9), 12, 16)


def lowered(fmt):
    """What codes and zero points of *fmt* are lower by."""
    last = fmt.code_range[1]
    half = 128 if fmt.bits <= 8 else 1 << 15
    return half if last >= half else 0


def check(x, fmt, made, params):
    wanted = Uniform().encode(x, params, fmt, (-1,)) - lowered(fmt)
    assert made.codes.dtype == (torch.int8 if fmt.bits <= 8 else torch.int16)
    assert torch.equal(made.codes.int(), wanted)
    assert torch.equal(made.scale, params.scale.flatten())
    assert torch.equal(made.zero, params.zero_point.flatten() - lowered(fmt))


def dynamic(bits, symmetric):
    return IntFormat(bits=bits, symmetric=symmetric, granularity="token")


def numbers(shape, seed, spread=6.0):
    """Rows of very different sizes, some all zero, with ties at half steps."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=draw)
    x *= torch.exp2(torch.randn(shape[0], 1, generator=draw) * spread).round_()
    x[:: max(1, shape[0] // 2)] = (x[:: max(1, shape[0] // 2)] * 2).round() / 2
    return x


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.usefixtures("anywhere")
def test_dynamic_codes_are_the_quantizers(bits, symmetric):
    fmt = dynamic(bits, symmetric)
    for seed, shape in enumerate([(1, 1), (3, 8), (9, 31), (17, 100)]):
        x = numbers(shape, seed)
        x[-1] = 0
        (params,) = Uniform().fit(x, [fmt], (-1,))
        check(x, fmt, quantize(x, *fmt.code_range, symmetric=symmetric), params)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.usefixtures("anywhere")
def test_static_codes_are_the_quantizers(bits, symmetric):
    fmt = IntFormat(bits=bits, symmetric=symmetric, granularity="tensor", scale="absmax")
    x = numbers((9, 37), bits, spread=0.5)
    (params,) = Uniform().fit(x[:4], [fmt])
    made = quantize(x, *fmt.code_range, scale=params.scale, zero=params.zero_point)
    check(x, fmt, made, params)


@settings(max_examples=80)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1,
                max_size=20), st.sampled_from(range(2, 9)), st.booleans())
def test_any_finite_row_gets_the_quantizers_codes(compiled, values, bits, symmetric):
    fmt, x = dynamic(bits, symmetric), torch.tensor([values], dtype=torch.float32)
    (params,) = Uniform().fit(x, [fmt], (-1,))
    for name in ("portable", "avx2", "emulated"):
        if compiled.runs(name):
            with using(compiled.at(name)):
                check(x, fmt, quantize(x, *fmt.code_range, symmetric=symmetric), params)
    with using(None):
        check(x, fmt, quantize(x, *fmt.code_range, symmetric=symmetric), params)


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 0.37, 1e30])
@pytest.mark.usefixtures("anywhere")
def test_static_codes_far_outside_the_range_are_clipped(scale):
    fmt = IntFormat(bits=8, symmetric=False, granularity="tensor")
    x = torch.tensor([[0.0, -0.0, 3.4e38, -3.4e38, 1e-45, 2.5, -2.5, 127.5, 1e10]])
    made = quantize(x, *fmt.code_range, scale=torch.tensor([scale]), zero=7)
    codes = ((x / torch.tensor([scale])).round() + 7).clamp(*fmt.code_range)
    assert torch.equal(made.codes.float() + 128, codes)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 5, 16, 20])
@pytest.mark.usefixtures("anywhere")
def test_numbers_that_are_not_finite_are_refused_by_name(bad, place):
    x = torch.randn(3, 21)
    x[1, place] = bad
    for options in ({}, {"scale": torch.ones(1)}):
        with pytest.raises(BadInput, match=r"^cannot quantize the input of fc1: .* not finite"):
            quantize(x, -128, 127, where="the input of fc1", **options)
    with pytest.raises(BadInput, match="not finite"):
        quantize(x, -2048, 2047)


@pytest.mark.usefixtures("anywhere")
def test_shapes_strides_and_types_do_not_matter():
    x = numbers((6, 10), 3)
    wanted = quantize(x, -8, 7)
    deep = quantize(x.view(2, 3, 10), -8, 7)
    assert torch.equal(deep.codes, wanted.codes.view(2, 3, 10))
    assert torch.equal(quantize(x.T.contiguous().T, -8, 7).codes, wanted.codes)
    assert torch.equal(quantize(x.double(), -8, 7).codes, wanted.codes)
    assert quantize(x[:0], -8, 7).codes.shape == (0, 10)
    half = x.bfloat16()
    assert torch.equal(quantize(half, -8, 7).codes, quantize(half.float(), -8, 7).codes)


@pytest.mark.usefixtures("anywhere")
def test_no_rows_and_empty_rows_have_no_codes():
    for shape in ((0, 5), (3, 0), (0, 0)):
        assert quantize(torch.ones(shape), 0, 15, symmetric=False).codes.shape == shape


@pytest.mark.parametrize("code_range", [(-200, 50), (0, 0), (1, 8), (0, 255)])
def test_codes_of_no_format_are_refused(code_range):
    with pytest.raises(BadInput, match="are those of no symmetric format"):
        quantize(torch.ones(1, 2), *code_range)


def test_a_single_number_has_no_rows():
    with pytest.raises(BadInput, match="no rows"):
        quantize(torch.tensor(3.0), -8, 7)


def test_more_than_16_bits_are_refused():
    with pytest.raises(BadInput, match="more than 16 bits"):
        quantize(torch.ones(1, 2), 0, 1 << 16)
