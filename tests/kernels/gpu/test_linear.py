"""Linear layers in Triton: the bits of the reference."""

import pytest
import torch

from mpsearch.kernels import reference
from tests.kernels.cases import case

SHAPES = [((5, 70, 333), None), ((20, 33, 100), 24), ((2, 65, 160), 64)]


def on(device, made):
    """The arguments of `linear` on a device."""
    a, weight = made.a, made.weight.in_words()
    return (a.codes.to(device), a.scale.to(device), a.zero.to(device),
            weight.to(device) if device.type == "cuda" else weight, made.bias.to(device))


def same_bits(one, two):
    """Equal to the sign of a zero."""
    return torch.equal(one.cpu().view(torch.int32), two.view(torch.int32))


@pytest.mark.parametrize(("shape", "group"), SHAPES)
@pytest.mark.parametrize("bits", range(2, 9))
def test_every_width_has_the_references_bits(face, device, bits, shape, group):
    made = case(bits, shape, group=group, seed=bits)
    args = on(device, made)
    wanted = reference.linear(*made.a, made.weight, made.bias)
    assert same_bits(face.linear(*args), wanted)


@pytest.mark.parametrize("bits", range(2, 9))
def test_sums_of_codes_at_their_limits_are_exact(face, device, bits):
    made = case(bits, (3, 70, 333), seed=bits, extreme=True, rows_differ=False)
    codes, _, zero, weight, _ = on(device, made)
    wanted = made.steps @ made.weight_steps.T
    assert torch.equal(face.linear_sums(codes, zero, weight).cpu().long(), wanted)


def test_rows_may_be_far_apart_and_few_or_none(face, device):
    made = case(4, (20, 33, 100), seed=2)
    codes, scale, zero, weight, _ = on(device, made)
    wanted = reference.linear(*made.a, made.weight, None)
    apart = torch.zeros(20, 300, dtype=torch.int8, device=device)
    apart[:, ::3] = codes
    assert same_bits(face.linear(apart[:, ::3], scale, zero, weight, None), wanted)
    apart[:, 7:107] = codes
    assert same_bits(face.linear(apart[:, 7:107], scale, zero, weight, None), wanted)
    assert face.linear(codes[:0], scale[:0], zero[:0], weight, None).shape == (0, 33)


def test_a_negative_zero_stays_one(face, device):
    made = case(4, (2, 5, 8), seed=0)
    _, _, zero, weight, _ = on(device, made)
    minus = torch.full((2,), -1.0, device=device)
    same = zero[:, None].expand(2, 8).to(torch.int8)  # every step is 0, every product -0.0
    wanted = reference.linear(same.cpu(), minus.cpu(), zero.cpu(), made.weight, None)
    assert wanted.signbit().all()
    assert same_bits(face.linear(same, minus, zero, weight, None), wanted)
