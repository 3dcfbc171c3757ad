"""Convolution of codes: as int64 convolution says, padding at the zero point."""

import itertools

import pytest
import torch
from torch.nn.functional import conv2d as float_conv2d

from mpsearch.core.errors import BadInput
from mpsearch.kernels import Activation, PackedFilters, conv2d, conv2d_sums
from tests.kernels.cases import near

# channels, outputs, groups, kernel
LAYERS = ((3, 5, 1, (3, 3)), (4, 6, 2, (1, 1)), (6, 6, 6, (3, 3)), (6, 12, 6, (3, 2)),
          (2, 66, 1, (2, 3)), (5, 5, 5, (5, 5)))
WINDOWS = (((1, 1), (0, 0), (1, 1)), ((2, 1), (1, 2), (1, 1)), ((1, 3), (2, 2), (2, 1)))


def made(channels, outputs, groups, kernel, bits=4, size=(9, 11), seed=0):
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 1 << bits, (outputs, channels // groups, *kernel), generator=draw)
    zero = torch.randint(0, 1 << bits, (outputs,), generator=draw, dtype=torch.int32)
    scale = torch.rand(outputs, generator=draw) + 0.5
    a = Activation(torch.randint(-128, 128, (2, channels, *size), generator=draw).to(torch.int8),
                   torch.tensor([0.3]), torch.tensor([int(seed) - 100], dtype=torch.int32))
    filters = PackedFilters.of(codes, scale, zero, bits=bits, first=0, groups=groups)
    return a, filters, codes - zero.view(-1, 1, 1, 1), scale, torch.randn(outputs, generator=draw)


@pytest.mark.parametrize(("layer", "window"), list(itertools.product(LAYERS, WINDOWS)))
@pytest.mark.usefixtures("anywhere")
def test_sums_are_those_of_exact_arithmetic(layer, window):
    stride, padding, dilation = window
    for bits in (3, 8):
        a, filters, steps, scale, bias = made(*layer, bits=bits, seed=bits)
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        wanted = float_conv2d(a.codes.double() - a.zero, steps.double(), None, *window, layer[2])
        sums = conv2d_sums(a, filters, **options)
        assert sums.dtype == torch.int32
        assert torch.equal(sums.double(), wanted)
        near(conv2d(a, filters, bias, **options),
             wanted * scale.double().view(-1, 1, 1) * 0.3 + bias.view(-1, 1, 1))


@pytest.mark.usefixtures("anywhere")
def test_grouped_scales_and_16_bit_codes():
    a, _, _, _, bias = made(3, 5, 1, (3, 3))
    draw = torch.Generator().manual_seed(1)
    codes, scale = torch.randint(0, 8, (5, 3, 3, 3), generator=draw), torch.rand(5 * 7) + 0.5
    filters = PackedFilters.of(codes, scale, bits=3, first=0, group=4)
    weight = codes.double().flatten(1) * scale.view(5, 7).repeat_interleave(4, 1)[:, :27]
    wide = a._replace(codes=a.codes.to(torch.int16) * 200)
    for each in (a, wide):
        wanted = float_conv2d((each.codes.double() - each.zero) * each.scale,
                              weight.view(5, 3, 3, 3), bias.double(), 1, 0)
        near(conv2d(each, filters, bias), wanted)


@pytest.mark.usefixtures("anywhere")
def test_no_image_gives_no_image():
    for groups in (1, 6):
        a, filters, *_ = made(6, 6, groups, (3, 3))
        assert conv2d(a._replace(codes=a.codes[:0]), filters).shape == (0, 6, 7, 9)


def test_what_does_not_fit_is_said():
    a, filters, *_ = made(6, 6, 6, (3, 3))
    with pytest.raises(BadInput, match="convolution of 6 channels"):
        conv2d(a._replace(codes=a.codes[:, :5]), filters)
    with pytest.raises(BadInput, match=r"kernel of 3 x 3 does not fit codes of shape \(2, 6, 2, "):
        conv2d(a._replace(codes=a.codes[:, :, :2]), filters)
    with pytest.raises(BadInput, match="one scale"):
        conv2d_sums(a._replace(scale=torch.ones(2)), filters)
    with pytest.raises(BadInput, match="do not divide"):
        PackedFilters.of(torch.zeros(5, 2, 1, 1), torch.ones(1), bits=2, first=0, groups=2)
