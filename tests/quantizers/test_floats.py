"""Small floats: their numbers against the standards, their scales against search and spec."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.floating import FloatFormat
from mpsearch.core.formats.mini_float import MiniFloat
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.floating import Float
from mpsearch.quantizers.mini_floats import codes_of, numbers_of, rounded_
from mpsearch.quantizers.packing import packed_tensors
from tests.quantizers.test_gaussian import distortion

NUMBERS = [MiniFloat(exponent=e, mantissa=m) for e, m in product(range(1, 8), range(7))
           if 2 <= e + m <= 7]
OCP = {"float4_e2m1fn": (2, 1), "float6_e2m3fn": (2, 3), "float6_e3m2fn": (3, 2),
       "float8_e4m3fn": (4, 3), "float8_e5m2": (5, 2)}


def of(exponent, mantissa):
    return MiniFloat(exponent=exponent, mantissa=mantissa)


def error(x, fmt, params=None):
    own = Float().fit(x, [fmt])[0] if params is None else params
    return float((fake_quantize(Float(), x, own, fmt) - x).double().square().sum())


@pytest.mark.parametrize(("exponent", "mantissa", "sizes"), [
    (2, 1, [0, 0.5, 1, 1.5, 2, 3, 4, 6]),
    (3, 0, [0, 0.25, 0.5, 1, 2, 4, 8, 16]),
    (1, 1, [0, 1, 2, 3]),
    (1, 2, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]),
    (2, 0, [0, 1, 2, 4]),
])
def test_numbers_by_hand(exponent, mantissa, sizes):
    numbers = numbers_of(of(exponent, mantissa)).tolist()
    assert numbers == [*sizes, *(-size for size in sizes)]


@pytest.mark.parametrize(("exponent", "mantissa", "smallest", "largest"), [
    # OCP 8-bit Floating Point Specification 1.0, table 1; Microscaling Formats 1.0, tables 2 to 4
    (4, 3, 2**-9, 448), (5, 2, 2**-16, 57344), (2, 3, 0.125, 7.5), (3, 2, 0.0625, 28),
])
def test_extremes_as_the_standards_state_them(exponent, mantissa, smallest, largest):
    numbers = of(exponent, mantissa)
    assert (numbers.magnitude(1), numbers.largest) == (smallest, largest)


@pytest.mark.parametrize("name", OCP)
def test_every_code_is_what_ml_dtypes_reads(name):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    import numpy as np

    numbers = of(*OCP[name])
    codes = np.arange(1 << numbers.bits, dtype=np.uint8)
    read = torch.tensor(codes.view(getattr(ml_dtypes, name)).astype(np.float32))
    ours = numbers_of(numbers)
    assert torch.equal(ours[ours.isfinite()], read[read.isfinite()])
    assert torch.equal(ours.isfinite(), read.isfinite())


@pytest.mark.parametrize("name", OCP)
def test_rounding_is_that_of_ml_dtypes(name):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    numbers = of(*OCP[name])
    x = _spread(numbers)
    read = x.numpy().astype(getattr(ml_dtypes, name)).astype("float32")
    assert torch.equal(rounded_(x.clone(), numbers), torch.tensor(read))


@pytest.mark.parametrize(("numbers", "dtype"), [(of(4, 3), torch.float8_e4m3fn),
                                                (of(5, 2), torch.float8_e5m2)])
def test_codes_are_the_bits_of_torch_types(numbers, dtype):
    x = _spread(numbers)
    bits = x.to(dtype).view(torch.uint8).int()
    assert torch.equal(codes_of(x, numbers), torch.where(bits == 128, 0, bits))


def _spread(numbers):
    """All numbers, all ties between them, and others in between; within the range."""
    levels = numbers_of(numbers)
    levels = levels[levels.isfinite()].sort().values
    ties = (levels[1:] + levels[:-1]) / 2
    return torch.cat([levels, ties, ties * 1.01, ties * 0.99]).clamp(levels[0], levels[-1])


@given(numbers=st.sampled_from(NUMBERS), sign=st.sampled_from([-1, 1]),
       power=st.floats(-70, 70), shift=st.integers(-3, 3))
def test_no_number_is_nearer(numbers, sign, power, shift):
    x = torch.tensor([sign * 2.0**power])
    levels = numbers_of(numbers).double() * 2.0**-shift
    least = (levels[levels.isfinite()] - x).abs().min()
    assert float((rounded_(x.clone(), numbers, shift).double() - x).abs()) == float(least)
    if shift == 0:
        code = codes_of(x, numbers)
        assert torch.equal(numbers_of(numbers)[code.long()], rounded_(x.clone(), numbers))


@pytest.mark.parametrize(("settings", "name"), [
    ({"bits": 4, "exponent": 2}, "4e2m1/channel"),
    ({"bits": 4}, "4float/channel"),
    ({"bits": 4, "blocks": "mx"}, "4mx-e2m1/group:32"),
    ({"bits": 4, "blocks": "nv"}, "4nv-e2m1/group:16"),
    ({"bits": 6, "blocks": "mx"}, "6mx/group:32"),
    ({"bits": 8, "granularity": "token", "scale": "absmax"}, "8e4m3/token"),
])
def test_names(settings, name):
    assert str(FloatFormat(**settings)) == name


@pytest.mark.parametrize(("settings", "reason"), [
    ({"bits": 4, "exponent": 4}, "1 or 2 or 3 bits, not 4"),
    ({"bits": 5, "blocks": "mx"}, "use 4 or 6 or 8"),
    ({"bits": 8, "blocks": "nv"}, "use 4"),
    ({"bits": 4, "blocks": "mx", "granularity": "channel"}, "group:32"),
    ({"bits": 8, "granularity": "token"}, "scale absmax"),
    ({"bits": 9}, "3 to 8"),
    ({"bits": 8, "blocks": "fx"}, "real, mx, nv"),
])
def test_settings_that_do_not_go_together(settings, reason):
    with pytest.raises(BadInput, match=reason):
        FloatFormat(**settings)


@pytest.mark.parametrize(("fmt", "bits"), [
    (FloatFormat(bits=4, blocks="mx"), 2 * 64 * 4 + 4 * 8),
    (FloatFormat(bits=8, blocks="mx"), 2 * 64 * 8 + 4 * 8 + 8),
    (FloatFormat(bits=4, blocks="nv"), 2 * 64 * 4 + 8 * 8 + 32),
    (FloatFormat(bits=5), 2 * 64 * 5 + 2 * 16 + 8 + 8),
    (FloatFormat(bits=5, exponent=2), 2 * 64 * 5 + 2 * 16 + 8),
])
def test_stored_bits_by_hand(fmt, bits):
    assert fmt.stored_bits((2, 64)) == bits


def test_mx_scales_are_those_of_the_specification(tensor):
    x = tensor("heavy", (8, 128), 0)
    fmt = FloatFormat(bits=4, blocks="mx", scale="absmax")
    scale = Float().fit(x, [fmt])[0].scale
    reach = x.view(-1, 32).abs().amax(1, keepdim=True)
    assert torch.equal(scale, torch.exp2(reach.log2().floor() - 2))


def test_mx_takes_the_next_scale_where_that_loses_less():
    # 7.9 saturates at 6 under the scale 1, and is 8 under the scale 2; the ones lose nothing
    # under either. 6.1 and 0.5 are better off under 1.
    x = torch.tensor([[7.9] + [1.0] * 31, [6.1] + [0.5] * 31])
    (params,) = Float().fit(x, [FloatFormat(bits=4, blocks="mx")])
    assert params.scale.flatten().tolist() == [2.0, 1.0]


def test_nv_scales_share_one_of_the_tensor(tensor):
    x = tensor("normal", (4, 64), 0)
    fmt = FloatFormat(bits=4, blocks="nv", scale="absmax")
    (params,) = Float().fit(x, [fmt])
    shared = params.more["global_scale"]
    assert float(shared) == pytest.approx(float(x.abs().max()) / (6 * 448))
    reach = x.view(-1, 16).abs().amax(1, keepdim=True)
    rounded = (reach / (6 * shared)).to(torch.float8_e4m3fn).float()
    assert torch.equal(params.scale, rounded * shared)
    stored = packed_tensors(Float().encode(x, params, fmt), params, fmt)
    assert stored["weight_scale"].max() == 0x7E  # 448


def test_a_token_reaches_its_largest_magnitude(tensor):
    x = tensor("heavy", (2, 5, 40), 0)
    fmt = FloatFormat(bits=8, granularity="token", scale="absmax")
    (params,) = Float().fit(x, [fmt], axes=[-1])
    scale = x.abs().amax(-1, keepdim=True) / 448
    expected = (x / scale).to(torch.float8_e4m3fn).float() * scale
    assert torch.equal(fake_quantize(Float(), x, params, fmt, [-1]), expected)


@pytest.mark.parametrize("blocks", ["mx", "nv"])
def test_activations_in_blocks_run_along_the_sum(tensor, blocks):
    x = tensor("normal", (2, 3, 64), 0)
    fmt = FloatFormat(bits=4, blocks=blocks, scale="absmax")
    fmt.require("input")
    assert not fmt.calibrated
    (params,) = Float().fit(x, [fmt], axes=[-1])
    assert len(params.scale) == 2 * 3 * 64 // fmt.group_size
    flat = x.view(6, 64)
    (other,) = Float().fit(flat, [fmt], axes=[1])
    assert torch.equal(fake_quantize(Float(), x, params, fmt, [-1]).view(6, 64),
                       fake_quantize(Float(), flat, other, fmt, [1]))


def test_a_token_of_nv_blocks_has_what_a_weight_of_one_row_has(tensor):
    x = tensor("normal", (3, 64), 0) * torch.tensor([[1.0], [50.0], [0.0]])
    fmt = FloatFormat(bits=4, blocks="nv", scale="absmax")
    (params,) = Float().fit(x, [fmt], axes=[1])
    alone = [Float().fit(row, [fmt])[0].scale for row in x.split(1)]
    assert torch.equal(params.scale[:8], torch.cat(alone[:2]))
    assert not bool(fake_quantize(Float(), x, params, fmt, [1])[2].any())


@pytest.mark.parametrize(("settings", "reason"), [
    ({"bits": 4, "granularity": "group:16"}, "need blocks mx or nv"),
    ({"bits": 4, "granularity": "channel"}, "tensor, token or group:N"),
    ({"bits": 4, "blocks": "mx"}, "absmax"),
    ({"bits": 8, "blocks": "mx", "scale": "absmax"}, "an exponent"),
])
def test_what_activations_cannot_have(settings, reason):
    FloatFormat(**settings).require("weight")
    with pytest.raises(BadInput, match=reason):
        FloatFormat(**settings).require("input")


@pytest.mark.parametrize("given", [
    {"bits": 4, "blocks": "nv"}, {"bits": 6, "blocks": "mx"}, {"bits": 8, "blocks": "mx"},
    {"bits": 8}, {"bits": 8, "granularity": "token"}])
def test_usual_settings_of_activations_are_ones_that_they_can_have(given):
    FloatFormat(**{**FloatFormat.usual("other", given), **given}).require("other")


def least_distortion(numbers):
    """The least error of unit normal numbers over a fine grid of scales, by integration."""
    levels = numbers_of(numbers)
    levels = sorted(set(levels[levels.isfinite()].tolist()))
    unit = 2.0**-numbers.highest
    return min(distortion([level * unit * 2 ** (k / 64) for level in levels])
               for k in range(-64, 256))


@pytest.mark.parametrize("numbers", [of(1, 1), of(2, 0), of(2, 1), of(3, 0), of(2, 2), of(3, 2),
                                     of(2, 3), of(4, 3)], ids=str)
def test_free_scales_reach_the_optimum_for_normal_numbers(tensor, numbers):
    x = tensor("normal", (1, 1 << 18), 0)
    fmt = FloatFormat(bits=numbers.bits, exponent=numbers.exponent)
    optimum = least_distortion(numbers)
    assert error(x, fmt) / float(x.square().sum()) == pytest.approx(optimum, rel=0.01)


@pytest.mark.parametrize("kind", ["normal", "heavy", "uniform", "sparse", "gelu"])
@pytest.mark.parametrize("bits", [3, 4, 6])
def test_the_exponent_chosen_is_the_one_that_loses_least(tensor, kind, bits):
    x = tensor(kind, (32, 48), 1)
    each = [error(x, FloatFormat(bits=bits, exponent=e)) for e in range(1, bits)]
    assert error(x, FloatFormat(bits=bits)) == pytest.approx(min(each), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", ["normal", "heavy", "gelu", "uniform"])
@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_the_search_comes_near_a_dense_one(tensor, kind, exponent):
    x = tensor(kind, (16, 96), 2)
    fmt = FloatFormat(bits=4, exponent=exponent)
    numbers = fmt.candidates[0]
    reach = x.abs().amax(1, keepdim=True) / numbers.largest
    rows = torch.stack([
        (rounded_(x / (reach * 2**(k / 128)), numbers) * (reach * 2**(k / 128)) - x).square().sum(1)
        for k in range(-1024, 128)])
    assert error(x, fmt) <= 1.03 * float(rows.amin(0).sum())


@given(seed=st.integers(0, 50), bits=st.sampled_from([4, 8]), blocks=st.sampled_from(["mx", "nv"]))
def test_searched_blocks_lose_no_more_than_standard_ones(seed, bits, blocks):
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(seed))
    bits = 4 if blocks == "nv" else bits
    exponent = math.ceil(bits / 2)
    searched, standard = (error(x, FloatFormat(bits=bits, blocks=blocks, exponent=exponent,
                                               scale=rule)) for rule in ("least_squares", "absmax"))
    assert searched <= standard * (1 + 1e-6)
