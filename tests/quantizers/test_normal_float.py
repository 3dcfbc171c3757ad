"""NormalFloat: the published levels, their construction, and scales."""

from statistics import NormalDist

import pytest
import torch

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.normal_float import NormalFloatFormat
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.normal_float import NormalFloat, levels_of
from tests.quantizers.test_gaussian import distortion

# QLoRA (arXiv:2305.14314), appendix E; the same numbers stand in bitsandbytes
PUBLISHED = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
             -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
             0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
             0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]


def error(x, fmt):
    (params,) = NormalFloat().fit(x, [fmt])
    return float((fake_quantize(NormalFloat(), x, params, fmt) - x).double().square().sum())


def test_four_bits_are_the_published_levels_to_the_last_bit():
    assert levels_of(4).tolist() == PUBLISHED


@pytest.mark.parametrize("bits", range(2, 9))
def test_levels_are_quantiles_at_even_steps_on_either_side_of_an_exact_zero(bits):
    levels = levels_of(bits).double()
    zero = 2 ** (bits - 1) - 1
    assert len(levels) == 2**bits
    assert bool((levels.diff() > 0).all())
    assert (levels[0], levels[zero], levels[-1]) == (-1, 0, 1)
    widest = NormalDist().inv_cdf(1 - (1 / 2 ** (bits + 1) + 1 / (2 ** (bits + 1) - 2)) / 2)
    shares = torch.special.ndtr(levels * widest)
    for side in (shares[:zero + 1], shares[zero:]):
        torch.testing.assert_close(side.diff(), side.diff().mean().expand(len(side) - 1),
                                   rtol=1e-4, atol=0)


def test_absmax_reaches_the_largest_magnitude(tensor):
    x = tensor("normal", (4, 128), 0).half().float()
    (params,) = NormalFloat().fit(x, [NormalFloatFormat(bits=4, scale="absmax")])
    assert torch.equal(params.scale, x.view(-1, 64).abs().amax(1, keepdim=True))


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_the_searched_scale_is_the_best_for_normal_numbers(tensor, bits):
    x = tensor("normal", (1, 1 << 18), 0)
    levels = levels_of(bits).tolist()
    optimum = min(distortion([level * step / 64 for level in levels]) for step in range(48, 320))
    found = error(x, NormalFloatFormat(bits=bits, granularity="channel"))
    assert found / float(x.square().sum()) == pytest.approx(optimum, rel=0.01)


@pytest.mark.parametrize("kind", ["normal", "heavy", "uniform", "sparse"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_searched_scales_lose_less_than_the_largest_magnitude(tensor, kind, bits):
    x = tensor(kind, (16, 256), 0)
    searched, plain = (error(x, NormalFloatFormat(bits=bits, scale=rule))
                       for rule in ("least_squares", "absmax"))
    assert searched < plain


@pytest.mark.parametrize(("fmt", "bits"), [
    (NormalFloatFormat(bits=4), 2 * 128 * 4 + 4 * 16 + 8),
    (NormalFloatFormat(bits=3, granularity="channel"), 2 * 128 * 3 + 2 * 16 + 8)])
def test_stored_bits_by_hand(fmt, bits):
    assert fmt.stored_bits((2, 128)) == bits


def test_settings_that_there_are_not():
    with pytest.raises(BadInput, match="2 to 8"):
        NormalFloatFormat(bits=9)
    with pytest.raises(BadInput, match="absmax, least_squares"):
        NormalFloatFormat(bits=4, scale="best")
    assert str(NormalFloatFormat(bits=4)) == "nf4/group:64"
