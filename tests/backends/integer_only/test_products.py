"""Layers with weights: int32 sums that are exact."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from mpsearch.backends.integer_only.dyadic import Dyadic
from mpsearch.backends.integer_only.products import Convolution, Linear, Product


def exactly(outputs):
    return Dyadic.of([Fraction(1)] * outputs, 1 << 30, shape=(outputs,))


def some(*shape, most=127):
    return torch.randint(-most, most + 1, shape)


@given(st.integers(0, 1 << 30), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3),
       st.tuples(st.integers(1, 3), st.integers(1, 2)), st.tuples(st.integers(0, 2),
                                                                 st.integers(0, 1)))
def test_a_convolution_is_torch_s_in_double(seed, groups, inner, outer, kernel, padding):
    torch.manual_seed(seed)
    stride, gaps = (int(some(1, most=1)) + 2, 1), (1, int(some(1, most=1)) % 2 + 1)
    x, weight = some(2, groups * inner, 7, 6), some(groups * outer, inner, *kernel)
    bias = some(groups * outer)
    op = Convolution(weight=weight.flatten(1).view(groups, outer, -1).to(torch.int8),
                     bias=bias.to(torch.int32), dyadic=exactly(groups * outer), dtype=torch.int32,
                     kernel=kernel, stride=stride, dilation=gaps,
                     padding=tuple((size, size) for size in padding))
    exact = F.conv2d(x.double(), weight.double(), bias.double(), stride, padding, gaps, groups)
    assert torch.equal(op(x.to(torch.int8)).double(), exact)


def test_a_linear_layer_reaches_the_ends_of_int32():
    weight = torch.full((2, 1 << 9), 1 << 7, dtype=torch.int16)
    weight[1] *= -1
    bias = torch.tensor([(1 << 15) - 1, 1], dtype=torch.int32)
    op = Linear(weight=weight, bias=bias, dyadic=exactly(2), dtype=torch.int32)
    x = torch.full((3, 1 << 9), (1 << 15) - 1, dtype=torch.int16)
    top = ((1 << 15) - 1) << 16
    assert op(x).tolist() == [[top + (1 << 15) - 1, 1 - top]] * 3


@pytest.mark.parametrize("turned", [False, True])
def test_a_product_of_activations(turned):
    torch.manual_seed(0)
    a, b = some(2, 3, 5, 4), some(2, 3, 4, 6)
    op = Product(turned=turned, dyadic=exactly(1), dtype=torch.int32)
    found = op(a.to(torch.int8), (b.transpose(-2, -1) if turned else b).to(torch.int8))
    assert torch.equal(found.long(), a @ b)
