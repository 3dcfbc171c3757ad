"""Static ranges are those of the values that layers really read."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.fakequant.activations import calibrate
from mpsearch.fakequant.keys import chosen_ranges, range_key
from mpsearch.quantizers.base import to_static
from mpsearch.quantizers.uniform import Uniform


def ranges_of(models, name, formats, batches):
    model = models.caught(name)
    space = models.space_of(model.layers, [Scheme(input=fmt, other=fmt) for fmt in formats])
    return calibrate(model.program, space, batches)


@pytest.mark.parametrize("scale", ["absmax", "percentile"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_small_data_are_fitted_whole(models, scale, symmetric):
    fmt = models.int_format(4, "tensor", scale=scale, symmetric=symmetric)
    batches = [models.inputs_of("chain", n, seed=n) for n in (2, 3)]
    found = ranges_of(models, "chain", [fmt], batches)
    module = models.caught("chain").module
    read = [torch.cat([args[0] for args in batches])]
    for layer in module.layers[:-1]:
        read.append(F.gelu(layer(read[-1])))
    for number, values in enumerate(read):
        expected = to_static(Uniform().fit(values.flatten(), [fmt])[0])
        static = found[f"layers.{number}"]["input"][range_key(fmt)]
        assert static.zero_point == expected.zero_point
        assert static.scale == pytest.approx(expected.scale, rel=1e-3)


def test_least_squares_sees_the_same_values(models):
    fmt = models.int_format(4, "tensor", scale="least_squares")
    (x,) = models.inputs_of("chain", 50)
    found = ranges_of(models, "chain", [fmt], [(x,)])["layers.0"]["input"][range_key(fmt)]
    # the smallest and largest value are kept once more
    values = torch.cat([x.flatten(), x.min()[None], x.max()[None]])
    assert found == to_static(Uniform().fit(values, [fmt])[0])


def test_both_operands_of_products_are_calibrated(models):
    fmt = models.int_format(8, "tensor")
    args = models.inputs_of("attention", 4)
    found = ranges_of(models, "attention", [fmt], [args])
    module = models.caught("attention").module
    n = module.norm(args[0])
    q, k, v = (layer(n).unflatten(-1, (-1, 4)).transpose(1, 2)
               for layer in (module.q, module.k, module.v))
    chances = (q @ k.transpose(-2, -1) / 2).softmax(-1)
    for layer, operand, values in (("matmul_0", "input", q), ("matmul_0", "other", k),
                                   ("matmul_1", "input", chances), ("matmul_1", "other", v)):
        scale = found[layer][operand][range_key(fmt)].scale
        assert scale == pytest.approx(float(values.abs().max()) / 127, rel=0.01)


def test_fused_attention_is_calibrated_like_its_open_twin(models):
    fmt = models.int_format(8, "tensor")
    model = models.caught("sdpa")
    args = models.inputs_of("sdpa", 4)
    found = ranges_of(models, "sdpa", [fmt], [args])
    n = model.module.norm(args[0])
    q, k = (layer(n).unflatten(-1, (-1, 4)).transpose(1, 2)
            for layer in (model.module.q, model.module.k))
    chances = (q @ k.transpose(-2, -1) / 2).softmax(-1)
    scale = found["matmul_1"]["input"][range_key(fmt)].scale
    assert scale == pytest.approx(float(chances.max()) / 127, rel=0.01)


def test_a_layer_that_runs_twice_sees_both_inputs(models):
    fmt = models.int_format(8, "tensor")
    (x,) = models.inputs_of("twice", 8)
    found = ranges_of(models, "twice", [fmt], [(x,)])["again"]["input"][range_key(fmt)]
    module = models.caught("twice").module
    y = F.gelu(module.first(x))
    z = F.gelu(module.again(y))
    largest = float(torch.cat([y, z]).abs().max())
    assert found.scale == pytest.approx(largest / 127, rel=0.01)


def test_large_data_are_sampled_from_every_channel(models):
    fmt = models.int_format(2, "tensor", scale="least_squares")
    x = torch.randn(1 << 15, 6) * torch.tensor([0.1, 10.0, 10.0, 0.1, 10.0, 10.0])
    found = ranges_of(models, "chain", [fmt], [(x,)])["layers.0"]["input"][range_key(fmt)]
    whole = to_static(Uniform().fit(x.flatten(), [fmt])[0])
    assert found.scale == pytest.approx(whole.scale, rel=0.05)


def test_extremes_are_always_kept(models):
    fmt = models.int_format(8, "tensor", symmetric=False)
    x = torch.randn(1 << 15, 6)
    x[12345, 1], x[23456, 2] = 40.0, -60.0
    found = ranges_of(models, "chain", [fmt], [(x,)])["layers.0"]["input"][range_key(fmt)]
    assert found.scale == pytest.approx(100 / 255, rel=0.01)


def test_dynamic_formats_need_no_range(models):
    assert ranges_of(models, "chain", [models.int_format(8, "token")],
                     [models.inputs_of("chain", 2)]) == {}


def test_formats_that_differ_have_ranges_of_their_own(models):
    formats = [models.int_format(bits, "tensor", symmetric=symmetric, scale=scale)
               for bits in (4, 8) for symmetric in (True, False)
               for scale in ("absmax", "least_squares")]
    found = ranges_of(models, "chain", formats, [models.inputs_of("chain", 9)])
    assert len(found["layers.1"]["input"]) == len(formats)
    chosen = chosen_ranges(found, "layers.1", {"input": formats[3], "other": None})
    assert chosen == {"input": found["layers.1"]["input"][range_key(formats[3])]}
    assert chosen_ranges(found, "layers.1", {"input": models.int_format(8, "token")}) == {}


def test_values_that_are_not_finite_are_refused_by_name(models):
    model = models.caught("chain")
    bias = model.module.layers[1].bias
    before = bias[0].clone()
    try:
        bias[0] = torch.nan
        with pytest.raises(BadInput, match=r"layer 'layers\.1'"):
            ranges_of(models, "chain", [models.int_format(8, "tensor")],
                      [models.inputs_of("chain", 2)])
    finally:
        bias[0] = before
