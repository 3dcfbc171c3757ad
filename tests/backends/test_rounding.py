"""Integer products of wide codes and long rows are rounded where exact simulation rounds them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.backends.exact import products
from mpsearch.backends.exact.steps import Steps
from mpsearch.kernels import Activation, any_linear, any_matmul, integers
from mpsearch.kernels.packed import longest

widths = st.integers(2, 16)


def codes_of(shape, bits, seed):
    made = torch.Generator().manual_seed(seed)
    half = 1 << bits - 1
    return torch.randint(-half, half, shape, generator=made, dtype=torch.int32)


def activation(shape, bits, seed):
    """Codes with a scale a row, and the same as steps."""
    codes = codes_of(shape, bits, seed)
    scale = torch.rand(shape[:-1], generator=torch.Generator().manual_seed(seed)) + 0.01
    zero = codes_of(shape[:-1], bits, seed + 1)
    kind = torch.int16 if bits > 8 else torch.int8
    made = Activation(codes.to(kind), scale.flatten(), zero.flatten())
    return made, Steps((codes - zero[..., None]).double(), scale[..., None].expand(shape))


def product(rows, outputs, inputs, group, bits, seed):
    """What the integer kernels make of random numbers, and what exact simulation does."""
    a, steps = activation((rows, inputs), bits[0], seed)
    runs, first = -(-inputs // group), -(1 << bits[1] - 1)
    codes = codes_of((outputs, inputs), bits[1], seed + 2)
    zero = codes_of((outputs, runs), bits[1], seed + 3)
    scale = torch.rand((outputs, runs), generator=torch.Generator().manual_seed(seed)) + 0.01
    weight = integers(codes, scale, zero, bits=bits[1], first=first, group=group)
    spread = [each.repeat_interleave(group, 1)[:, :inputs] for each in (zero, scale)]
    own = Steps((codes - spread[0]).double().T, spread[1].T)
    return any_linear(a, weight), products.linear(steps, own, group, bits=max(bits))


@given(st.integers(1, 5), st.integers(1, 70), st.integers(1, 90), st.integers(1, 40), widths,
       widths, st.integers(0, 99))
@settings(max_examples=60)
def test_groups_of_wide_codes_are_rounded_once(rows, outputs, inputs, group, one, two, seed):
    found, wanted = product(rows, outputs, inputs, group, (one, two), seed)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("bits", [8, 4])
def test_sums_of_many_terms_are_rounded_once(bits):
    terms = longest(8) + 1
    found, wanted = product(3, 5, terms, terms, (8, bits), 0)
    assert torch.equal(found, wanted)
    found, wanted = product(3, 5, terms, 33, (8, bits), 0)
    assert torch.equal(found, wanted)


def test_sums_of_many_products_of_activations_are_rounded_once():
    (a, left), (b, right) = (activation((2, 3, longest(8) + 1), 8, seed) for seed in (0, 1))
    turned = Steps(*(each.transpose(-2, -1) for each in right))
    assert torch.equal(any_matmul(a, b), products.matmul(left, turned, bits=8))
