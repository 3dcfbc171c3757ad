"""GELU, softmax and layer norm: near the true values, and the same bits wherever they run."""

import math

import pytest
import torch
from torch.nn import functional

from mpsearch.core.errors import BadInput
from mpsearch.kernels import function_steps, functions
from mpsearch.kernels.coding import Coding
from mpsearch.kernels.functions import gelu, layer_norm, layer_norm_codes, softmax

CODINGS = (Coding(first=0, last=255, symmetric=False, scale=0.02, zero=131),
           Coding(first=-8, last=7), Coding(first=0, last=15, symmetric=False))


def rows(count, length, size=3.0):
    draw = torch.Generator().manual_seed(length)
    return torch.randn(count, length, generator=draw) * size


@pytest.mark.parametrize("length", [1, 15, 64, 197])
@pytest.mark.usefixtures("anywhere")
def test_bits_are_those_of_the_steps_in_torch(length):
    x = torch.cat([rows(5, length), rows(2, length, 40.0), torch.zeros(1, length)])
    weight, bias = rows(2, length)
    assert torch.equal(gelu(x), function_steps.gelu(x))
    assert torch.equal(softmax(x), function_steps.softmax(x))
    assert torch.equal(layer_norm(x, weight, bias), function_steps.layer_norm(x, weight, bias,
                                                                              1e-5))
    turned = x.T.contiguous().T  # rows that do not lie dense
    assert torch.equal(gelu(turned), gelu(x))


@pytest.mark.usefixtures("anywhere")
def test_values_are_true():
    x = torch.linspace(-14, 14, 7000).view(7, -1)
    wrong = (gelu(x) - functional.gelu(x.double())).abs() / x.double().abs().clamp(min=1)
    assert float(wrong.max()) < 2.5e-7
    chances = softmax(x)
    assert float((chances / x.double().softmax(-1) - 1).abs().max()) < 2e-6
    true = functional.layer_norm(x.double(), x.shape[1:])
    assert float((layer_norm(x) - true).abs().max()) < 2e-5


@pytest.mark.usefixtures("anywhere")
def test_softmax_of_what_is_masked():
    x = rows(3, 20)
    x[0, 5:], x[1] = -math.inf, -math.inf
    found = softmax(x)
    assert torch.equal(found[0, 5:], torch.zeros(15))
    assert torch.equal(found[1], torch.zeros(20))
    assert torch.equal(found[0, :5], softmax(x[:1, :5])[0])


def test_other_types_are_left_to_torch():
    x = rows(2, 9).to(torch.bfloat16)
    assert torch.equal(gelu(x), functional.gelu(x))
    assert torch.equal(softmax(x), x.softmax(-1))
    assert torch.equal(layer_norm(x), functional.layer_norm(x, (9,)))


@pytest.mark.parametrize("coding", CODINGS, ids=str)
@pytest.mark.usefixtures("anywhere")
def test_codes_of_layer_norm_are_those_of_its_numbers(coding):
    for length in (7, 192):
        x = rows(11, length).view(1, 11, length)
        weight, bias = rows(2, length)
        wanted = coding(layer_norm(x, weight, bias, 1e-6))
        found = layer_norm_codes(x, weight, bias, 1e-6, coding)
        assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.usefixtures("anywhere")
def test_numbers_that_are_not_finite_are_told_by_name():
    coding = Coding(first=0, last=255, symmetric=False, scale=0.1, zero=3, where="the input of x")
    with pytest.raises(BadInput, match="cannot quantize the input of x"):
        layer_norm_codes(torch.full((1, 4), torch.nan), None, None, 1e-6, coding)


def test_functions_are_operators_that_the_compiler_sees_through():
    x = rows(3, 10)
    for name in ("gelu_rows", "softmax_rows"):
        torch.library.opcheck(getattr(torch.ops.mpsearch, name), (x,))
    torch.library.opcheck(torch.ops.mpsearch.layer_norm_rows, (x, None, None, 1e-6))
    assert functions.own_kind(x)
