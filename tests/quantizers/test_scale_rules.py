"""How good the scales are: against each other, against exhaustive search, against known optima."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.uniform import Uniform

UNIFORM = Uniform()
KINDS = ("normal", "heavy", "positive", "shifted", "uniform", "sparse", "gelu", "lattice", "zero")
FORMATS = st.builds(
    IntFormat,
    bits=st.integers(2, 16),
    symmetric=st.booleans(),
    granularity=st.sampled_from(["tensor", "channel", "group:7", "group:16", "token"]),
)
SHAPES = st.sampled_from([(1, 1), (3, 1), (1, 5), (4, 33), (5, 3, 3, 3), (2, 300), (9, 128)])
CASES = st.tuples(st.sampled_from(KINDS), SHAPES, st.integers(0, 2**32))


def by(fmt, rule):
    """*fmt* with another *rule*, if it may have one."""
    return fmt if fmt.dynamic else replace(fmt, scale=rule)


def errors(x, fmt):
    """Squared error of each slice, float64 [S]."""
    (params,) = UNIFORM.fit(x, [fmt])
    rest = fake_quantize(UNIFORM, x, params, fmt).double() - x.double()
    return layout_of(x.shape, fmt).to_slices(rest).square().sum(1)


@pytest.mark.parametrize("rule", ["percentile", "least_squares"])
@settings(max_examples=40)
@given(CASES, FORMATS, st.integers(-90, 90))
def test_no_slice_is_worse_than_with_absmax(tensor, rule, case, fmt, exponent):
    x = tensor(*case) * 2.0**exponent
    best, plain = (errors(x, by(fmt, scale)) for scale in (rule, "absmax"))
    # the sums that choose are float32, and so are the decoded numbers
    rounding = layout_of(x.shape, fmt).to_slices(x).double().square().sum(1) * 2.0**-48
    assert bool((best <= plain * (1 + 1e-5) + rounding).all())


@pytest.mark.parametrize("rule", ["absmax", "percentile", "least_squares"])
@settings(max_examples=40)
@given(CASES, FORMATS, st.integers(-90, 90))
def test_a_power_of_two_scales_the_scales_and_nothing_else(tensor, rule, case, fmt, exponent):
    fmt, x, factor = by(fmt, rule), tensor(*case), 2.0**exponent
    (params,), (scaled,) = UNIFORM.fit(x, [fmt]), UNIFORM.fit(x * factor, [fmt])
    assert torch.equal(params.zero_point, scaled.zero_point)
    assert torch.equal(UNIFORM.encode(x, params, fmt), UNIFORM.encode(x * factor, scaled, fmt))
    empty = ~layout_of(x.shape, fmt).to_slices(x).any(1, keepdim=True)
    same = params.scale * factor == scaled.scale
    assert bool((same | empty).all())  # what scale is given to zeros does not matter


@pytest.mark.parametrize("magnitude", [1e-30, 1e30])
@pytest.mark.parametrize("rule", ["absmax", "percentile", "least_squares"])
def test_tiny_and_huge_weights_are_quantized_as_well_as_others(tensor, magnitude, rule):
    fmt = IntFormat(bits=4, scale=rule)
    x = tensor("heavy", (8, 192), 0)
    relative = [float((errors(y, fmt) / y.double().square().sum(1)).mean())
                for y in (x, x * magnitude)]
    assert relative[1] == pytest.approx(relative[0], rel=1e-2)


def exhaustive(x, fmt, candidates=400):
    """Least squared error of each row over a fine grid of scales, each with its best scale for
    the codes it gives, and over all zero points. An independent definition, in float64.
    """
    x = x.double()
    first, last = fmt.code_range
    span = (x.amax(1, keepdim=True).clamp(min=0) - x.amin(1, keepdim=True).clamp(max=0))
    best = x.square().sum(1)
    for zero in (0,) if fmt.symmetric else range(first, last + 1):
        for ratio in torch.logspace(-1.7, 0.7, candidates).tolist():
            scale = (span * ratio / (last - first)).clamp(min=1e-9)
            for _ in range(2):
                codes = (x / scale).round().clamp(first - zero, last - zero)
                best = torch.minimum(best, (x - scale * codes).square().sum(1))
                energy = codes.square().sum(1, keepdim=True)
                fitted = (x * codes).sum(1, keepdim=True) / energy.clamp(min=1)
                scale = torch.where(energy > 0, fitted, scale).clamp(min=1e-9)
    return best


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("kind", ["normal", "heavy", "positive", "shifted", "uniform", "gelu"])
def test_least_squares_comes_close_to_exhaustive_search(tensor, kind, bits, symmetric):
    fmt = IntFormat(bits=bits, symmetric=symmetric)
    x = torch.cat([tensor(kind, (24, 40), seed) for seed in range(2)], dim=1)
    found, least = errors(x, fmt), exhaustive(x, fmt, 400 if symmetric else 100)
    assert float(found.sum() / least.sum()) <= 1.04
    assert float((found / least).max()) <= (1.25 if symmetric else 1.6)


@settings(max_examples=40)
@given(st.integers(2, 4), st.booleans(), st.integers(0, 2**32), st.integers(-20, 20), st.data())
def test_weights_that_lie_on_a_grid_are_found_there(bits, symmetric, seed, exponent, data):
    fmt = IntFormat(bits=bits, symmetric=symmetric)
    first, last = fmt.code_range
    low = data.draw(st.integers(first, 0 if symmetric else last))
    high = data.draw(st.integers(max(low, 0), last))
    zero = 0 if symmetric else data.draw(st.integers(low, high))
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(low, high + 1, (6, 50), generator=generator)
    codes[:, 0], codes[:, 1] = low, high
    x = (codes - zero) * (0.71875 * 2.0**exponent)
    error = errors(x, fmt) / x.double().square().sum(1).clamp(min=1e-30)
    used = max(high, -low) / max(last, 1) if symmetric else (high - low) / (last - first)
    rounded_scale = 0 if used > 0.5 else 2.0**-22  # a fraction of the step may be used instead
    assert float(error.max()) <= rounded_scale


def test_a_slice_keeps_its_scale_whatever_else_is_in_the_tensor(tensor):
    x = tensor("normal", (6, 100), 0)
    x[3] *= 1e-4
    fmt = IntFormat(bits=3)
    (together,) = UNIFORM.fit(x, [fmt])
    alone = torch.cat([UNIFORM.fit(row[None], [fmt])[0].scale for row in x])
    assert torch.equal(together.scale, alone)


def test_a_slice_of_zeros_gets_a_scale_like_the_others(tensor):
    x = tensor("normal", (3, 50), 0)
    x[1] = 0
    for rule in ("absmax", "percentile", "least_squares"):
        (params,) = UNIFORM.fit(x, [IntFormat(bits=4, scale=rule)])
        assert float(params.scale[1]) <= 2 * float(params.scale.median())
        assert float(params.scale[1]) >= float(params.scale.median()) / 2


def test_percentile_clips_outliers_and_samples_long_slices(tensor):
    x = tensor("normal", (1, 3 << 20), 0)
    x[0, 1::262144] = 60
    fmt = IntFormat(bits=4, granularity="tensor", scale="percentile")
    (params,) = UNIFORM.fit(x, [fmt])
    assert 2.2 < float(params.scale) * 7 < 6
    assert float(errors(x, fmt)) < 0.5 * float(errors(x, replace(fmt, scale="absmax")))


def test_outliers_far_beyond_the_bulk_are_clipped_by_least_squares(tensor):
    x = tensor("normal", (1, 200_000), 0)
    x[0, 7] = 100
    for symmetric in (True, False):
        fmt = IntFormat(bits=4, symmetric=symmetric, granularity="tensor")
        assert float(errors(x, fmt)) < 0.1 * float(errors(x, replace(fmt, scale="absmax")))


def test_percentiles_of_the_two_sides_are_chosen_apart():
    # far below lie as many as above, but only those above are near enough to be given up
    x = torch.cat([torch.full((150,), -6.0), torch.linspace(-1, 1, 19_700),
                   torch.full((150,), 3.0)])[None]
    fmt = IntFormat(bits=3, symmetric=False, granularity="tensor", scale="percentile")
    (params,) = UNIFORM.fit(x, [fmt])
    ends = (torch.tensor([0, 7]) - params.zero_point) * params.scale
    assert ends.flatten().tolist() == pytest.approx([-6, 1], abs=0.05)
    for low, high in ((-6, 3), (-1, 1)):
        step = (high - low) / 7
        zero = round(-low / step)
        near = ((x / step).round().clamp(-zero, 7 - zero)) * step
        assert float(errors(x, fmt)) < 0.9 * float((near - x).square().sum())


@pytest.mark.parametrize("rule", ["absmax", "percentile", "least_squares"])
@settings(max_examples=30)
@given(st.integers(2, 8), st.floats(-50, 50), st.floats(1e-3, 2))
def test_zero_keeps_its_code_where_all_numbers_lie_far_from_it(rule, bits, middle, width):
    x = (torch.linspace(-1, 1, 40) * width + middle)[None]
    fmt = IntFormat(bits=bits, symmetric=False, scale=rule)
    (params,) = UNIFORM.fit(x, [fmt])
    assert 0 <= int(params.zero_point) < 2**bits
    assert not fake_quantize(UNIFORM, torch.zeros_like(x), params, fmt).any()
    reach = float(x.abs().max())  # and the far end is not cut off for it
    assert float((fake_quantize(UNIFORM, x, params, fmt) - x).abs().max()) <= reach
