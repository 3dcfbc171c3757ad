"""Quantization, products of two activations and depthwise convolutions in Triton."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.kernels import reference

RANGES = [(-2, 1), (0, 15), (-127, 127), (0, 255), (-2048, 2047), (0, 65535)]


def numbers(shape, seed):
    """Rows of very different sizes, the last all zero, with ties at half steps."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=draw)
    x *= torch.exp2(torch.randn(shape[0], 1, generator=draw) * 6).round_()
    x[0] = (x[0] * 2).round() / 2
    x[-1] = 0
    return x


def check(face, device, x, first, last, **more):
    there = {name: each.to(device) if isinstance(each, torch.Tensor) else each
             for name, each in more.items()}
    made = face.quantize(x.to(device), first, last, **there)
    for one, two in zip(made, reference.quantize(x, first, last, **more), strict=True):
        assert one.dtype == two.dtype
        assert torch.equal(one.cpu(), two)


@pytest.mark.parametrize(("first", "last", "symmetric"), [
    *((*ends, False) for ends in RANGES), *((*ends, True) for ends in RANGES if ends[0])])
def test_dynamic_codes_are_the_references(face, device, first, last, symmetric):
    for seed, shape in enumerate([(3, 8), (4, 1100)]):
        check(face, device, numbers(shape, seed), first, last, scale=None, zero=None,
              symmetric=symmetric)


@pytest.mark.parametrize("scale", [1e-40, 0.37, 1e30])
@pytest.mark.parametrize(("first", "last"), RANGES)
def test_static_codes_are_the_references(face, device, first, last, scale):
    x = torch.cat([numbers((3, 9), last), torch.tensor(
        [[0.0, -0.0, 3.4e38, -3.4e38, 1e-45, 2.5, -2.5, 127.5, 1e10]])])
    offset = {255: 128, 65535: 1 << 15}.get(last, 0)
    zero = torch.tensor([(first + last) // 2 - offset], dtype=torch.int32)
    check(face, device, x, first, last, scale=torch.tensor([scale]), zero=zero, symmetric=True)


@settings(max_examples=25)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1,
                max_size=9), st.sampled_from(RANGES))
@example([1e-45], (0, 255))
@example([3.4028234663852886e38, -3.4028234663852886e38], (0, 15))
def test_any_finite_row_gets_the_references_codes(face, device, values, ends):
    x = torch.tensor([values], dtype=torch.float32)
    check(face, device, x, *ends, scale=None, zero=None, symmetric=False)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(face, device, bad):
    x = torch.randn(3, 21)
    x[1, 20] = bad
    for options in ({"scale": None, "zero": None}, {
            "scale": torch.ones(1, device=device),
            "zero": torch.zeros(1, dtype=torch.int32, device=device)}):
        with pytest.raises(BadInput, match="not all finite"):
            face.quantize(x.to(device), -128, 127, symmetric=True, **options)


def test_products_of_activations_are_the_references(face, device):
    draw = torch.Generator().manual_seed(4)

    def codes(*shape):
        return torch.randint(-128, 128, shape, generator=draw, dtype=torch.int32)

    a, b = codes(2, 70, 90).to(torch.int8), codes(2, 90, 33).to(torch.int8).transpose(1, 2)
    zeros = codes(2, 70), codes(2, 33)
    scales = tuple(torch.rand(each.shape, generator=draw) for each in zeros)
    there = [each.to(device) for each in (a, zeros[0], b, zeros[1])]
    args = a, zeros[0], b, zeros[1]
    assert torch.equal(face.batched_sums(*there).cpu(), reference.batched_sums(*args))
    own = tuple(each.to(device) for each in scales)
    assert torch.equal(face.batched(*there, scales=own).cpu(),
                       reference.batched(*args, scales=scales))
    assert face.batched_sums(*(each[:0] for each in there)).shape == (0, 70, 33)


@pytest.mark.parametrize("window", [[1, 1, 1, 1, 1, 1], [2, 1, 0, 2, 2, 1]])
def test_depthwise_sums_are_the_references(face, device, window):
    draw = torch.Generator().manual_seed(5)
    codes = torch.randint(-128, 128, (2, 5, 9, 7), generator=draw).to(torch.int8)
    filters = torch.randint(-255, 256, (5, 3, 2), generator=draw).to(torch.int16)
    made = face.depthwise(codes.to(device), filters.to(device), -128, window)
    assert torch.equal(made.cpu(), reference.depthwise(codes, filters, -128, window))
