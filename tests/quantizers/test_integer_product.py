"""What uniform integers owe the two backends that share them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.uniform import Uniform
from tests.formats import integer

BITS = st.integers(2, 8)
RULES = st.sampled_from(["absmax", "percentile", "least_squares"])


@pytest.fixture(scope="module")
def quantizer():
    return Uniform()


def formats(*granularities):
    return st.builds(integer, bits=BITS, symmetric=st.booleans(),
                     granularity=st.sampled_from(granularities), scale=RULES)


def numbers(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def steps_of(codes, params):
    """Codes less their zero points, as whole numbers; one slice a row of *codes*."""
    return codes.long() - params.zero_point.long()


@settings(max_examples=40)
@given(formats("tensor", "channel", "group:4", "token"), st.integers(0, 2**32))
def test_codes_fit_their_bits_and_round_trips_settle(quantizer, fmt, seed):
    x = numbers((5, 3, 2, 3), seed)
    (params,) = quantizer.fit(x, [fmt])
    codes = quantizer.encode(x, params, fmt)
    first, last = fmt.code_range
    assert codes.dtype == torch.int32
    assert codes.shape == x.shape
    assert first <= codes.min() <= codes.max() <= last
    once = quantizer.decode(codes, params, fmt)
    assert once.dtype == torch.float32
    assert torch.equal(quantizer.encode(once, params, fmt), codes)
    assert torch.equal(fake_quantize(quantizer, x, params, fmt), once)


@settings(max_examples=40)
@given(formats("tensor", "channel", "group:4", "token"))
def test_every_code_decodes_and_zero_is_exact(quantizer, fmt):
    (params,) = quantizer.fit(numbers((1, 7), 0).expand(4, 7), [fmt])
    first, last = fmt.code_range
    for code in range(first, last + 1):
        decoded = quantizer.decode(torch.full((4, 7), code, dtype=torch.int32), params, fmt)
        assert bool(decoded.isfinite().all())
    assert not fake_quantize(quantizer, torch.zeros(4, 7), params, fmt).any()


@settings(max_examples=40)
@given(formats("channel"), formats("tensor", "token"), st.integers(0, 2**32))
def test_the_integer_product_is_the_simulated_one(quantizer, of_weight, of_input, seed):
    weight, x = numbers((6, 20), seed), numbers((4, 20), seed + 1).relu()
    (w,), (a,) = quantizer.fit(weight, [of_weight]), quantizer.fit(x, [of_input], (-1,))
    codes = (quantizer.encode(weight, w, of_weight), quantizer.encode(x, a, of_input, (-1,)))
    integer = steps_of(codes[1], a) @ steps_of(codes[0], w).T
    for exact in (a, w):  # to powers of two, so that no product is rounded
        exact.scale.copy_(2.0 ** exact.scale.log2().round())
    simulated = (quantizer.decode(codes[1], a, of_input, (-1,)).double()
                 @ quantizer.decode(codes[0], w, of_weight).double().T)
    assert torch.equal(integer * (a.scale.double() * w.scale.double().T), simulated)


@settings(max_examples=40)
@given(BITS, BITS, st.integers(0, 2**32))
def test_the_integer_product_is_exact_with_stored_scales_too(quantizer, bits, input_bits, seed):
    # a code has 9 bits at most and a stored scale 11, so that float64 rounds nothing here
    of_weight = IntFormat(bits=bits)
    of_input = IntFormat(bits=input_bits, symmetric=False, granularity="tensor")
    weight, x = numbers((6, 20), seed), numbers((4, 20), seed + 1).relu()
    (w,), (a,) = quantizer.fit(weight, [of_weight]), quantizer.fit(x, [of_input])
    codes = quantizer.encode(weight, w, of_weight), quantizer.encode(x, a, of_input)
    integer = (steps_of(codes[1], a) @ steps_of(codes[0], w).T).double()
    simulated = (quantizer.decode(codes[1], a, of_input).double()
                 @ quantizer.decode(codes[0], w, of_weight).double().T)
    assert torch.equal(integer * (a.scale.double() * w.scale.double().T), simulated)


def test_a_quantizer_is_its_own_configuration(quantizer):
    assert quantizer == type(quantizer)()
    assert repr(quantizer).startswith(type(quantizer).__name__ + "(")
