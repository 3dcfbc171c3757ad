"""Outlier columns: which are found, what they cost, and what they save."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.core.formats.split import OutlierInputsFormat, OutlierSplitFormat
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.halves import from_halves, to_halves
from mpsearch.quantizers.outlier_inputs import OutlierInputs
from mpsearch.quantizers.outlier_split import OutlierSplit
from mpsearch.quantizers.uniform import Uniform

SPLIT, INPUTS, UNIFORM = OutlierSplit(), OutlierInputs(), Uniform()
PLANTED = [3, 70, 127]


def drawn(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def with_outliers(shape, times=20.0, seed=0):
    x = drawn(shape, seed)
    x[:, PLANTED] *= times
    return x


def loss(quantizer, x, fmt, axes=None):
    (params,) = quantizer.fit(x, [fmt], axes)
    return float((fake_quantize(quantizer, x, params, fmt, axes) - x).double().square().sum())


@pytest.mark.parametrize("scale", ["absmax", "percentile", "least_squares"])
@pytest.mark.parametrize("granularity", ["tensor", "channel", "group:32"])
def test_planted_columns_are_found_and_kept(granularity, scale):
    x = with_outliers((48, 192))
    fmt = OutlierSplitFormat(bits=4, granularity=granularity, scale=scale)  # 192 / 64 = 3 columns
    (params,) = SPLIT.fit(x, [fmt])
    assert params.more["columns"].tolist() == PLANTED
    y = fake_quantize(SPLIT, x, params, fmt)
    torch.testing.assert_close(y[:, PLANTED], x[:, PLANTED], rtol=2**-11, atol=0)
    plain = IntFormat(bits=4, granularity=granularity, scale=scale)
    assert loss(SPLIT, x, fmt) < loss(UNIFORM, x, plain) / 10


def test_eight_bits_with_outliers_lose_what_eight_bits_without_them_do():
    x = with_outliers((64, 192), times=15)
    clean = x.clone()
    clean[:, PLANTED] = 0
    fmt = OutlierSplitFormat(bits=8, scale="absmax")
    assert loss(SPLIT, x, fmt) == pytest.approx(
        loss(UNIFORM, clean, IntFormat(bits=8, scale="absmax")), rel=0.02)


def test_the_error_is_near_that_of_the_best_columns():
    ratios = []
    for seed in range(6):
        chance = torch.rand((12, 10), generator=torch.Generator().manual_seed(seed))
        x = drawn((12, 10), seed) / chance.clamp(min=0.05)
        fmt = OutlierSplitFormat(bits=3, share=0.2)
        tried = []
        for columns in combinations(range(10), 2):
            rest = x[:, [i for i in range(10) if i not in columns]]
            tried.append(loss(UNIFORM, rest, fmt.rest))
        ratios.append(loss(SPLIT, x, fmt) / min(tried))
    assert min(ratios) == pytest.approx(1, abs=1e-3)
    assert sum(ratios) / len(ratios) < 1.1


@settings(max_examples=40)
@given(st.integers(2, 8), st.sampled_from(["tensor", "channel", "group:8"]), st.integers(0, 999))
def test_one_column_in_sixteen_bits_is_no_worse_than_none(bits, granularity, seed):
    x = drawn((8, 40), seed)
    fmt = OutlierSplitFormat(bits=bits, granularity=granularity, share=0.1)
    plain = IntFormat(bits=bits, granularity=granularity)
    assert loss(SPLIT, x, fmt) < 1.02 * loss(UNIFORM, x, plain)


def test_weight_of_what_is_stored():
    fmt = OutlierSplitFormat(bits=4)
    codes, scales = 16 * 189 * 4, 16 * 16 + 8
    assert fmt.codes((16, 192)) == (16, 189)
    ends = 16 * 4  # a row ends on a byte
    assert fmt.stored_bits((16, 192)) == codes + ends + scales + 3 * 16 + 16 * 3 * 16 + 8
    assert fmt.tables((2, 1 << 16))["columns"] == (1024, 16)
    assert fmt.tables((2, (1 << 16) + 1))["columns"] == (1024, 32)
    assert fmt.arithmetic_bits == 16 / 64 + 4 * 63 / 64


def test_an_index_of_32_bits_comes_back():
    x = drawn((1, (1 << 16) + 1)) * 0.01
    x[0, -1] = 5
    fmt = OutlierSplitFormat(bits=2, share=1 / (1 << 16))
    (params,) = SPLIT.fit(x, [fmt])
    assert params.more["columns"].dtype == torch.uint32
    assert params.more["columns"].tolist() == [1 << 16]
    assert float(fake_quantize(SPLIT, x, params, fmt)[0, -1]) == 5


def test_a_share_is_at_least_one_column_and_never_all():
    fmt = OutlierSplitFormat(bits=4, share=0.5)
    assert [fmt.outliers(n) for n in (1, 2, 3, 9, 10)] == [0, 1, 2, 4, 5]
    assert OutlierSplitFormat(bits=4).outliers(9) == 1


def test_parameters_of_another_shape_are_refused():
    fmt = OutlierSplitFormat(bits=4, granularity="tensor")
    (params,) = SPLIT.fit(drawn((6, 40)), [fmt])
    for shape in ((5, 40), (6, 400)):
        with pytest.raises(BadInput, match="that needs"):
            SPLIT.encode(drawn(shape), params, fmt)


@pytest.mark.parametrize("share", [0.0, -0.1, 0.6, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(BadInput, match="share of outlier columns"):
        OutlierSplitFormat(bits=4, share=share)


@given(st.integers(-145, 125), st.integers(0, 99))
def test_halves_keep_eleven_digits_at_any_size(exponent, seed):
    x = (drawn((5,), seed).clamp(-2, 2).double() * 2.0**exponent).float()
    half, shared = to_halves(x)
    again = from_halves(half, shared)
    assert bool(((again - x).double().abs() <= x.double().abs() * 2**-11 + 2.0**-149).all())
    assert torch.equal(from_halves(*to_halves(again)), again)


def columns(params):
    """The outlier columns of each sample."""
    return [own.nonzero().flatten().tolist() for own in params.more["columns"][:, 0]]


def test_activations_keep_the_columns_of_the_published_rule():
    # hidden states of root mean square 1 and a threshold of 6, as Dettmers et al. 2022
    x = drawn((1, 50, 192), 3)
    x[0, 17, 5] = 40  # one token is enough
    x[:, :, 90] = 30
    x /= x.square().mean().sqrt()
    fmt = OutlierInputsFormat(bits=8)
    (params,) = INPUTS.fit(x, [fmt], (-1,))
    published = (x[0].abs() >= 6.0).any(0).nonzero().flatten()
    assert published.tolist() == [5, 90]
    assert columns(params) == [published.tolist()]
    rest = x.clone()
    rest[..., published] = 0
    token = IntFormat(bits=8, granularity="token", scale="absmax")
    assert torch.equal(params.scale, UNIFORM.fit(rest, [token], (-1,))[0].scale)
    assert loss(INPUTS, x, fmt, (-1,)) < loss(UNIFORM, x, token, (-1,)) / 10


def test_activations_without_outliers_are_plain_integers():
    x = drawn((1, 50, 192), 4)
    fmt = OutlierInputsFormat(bits=6)
    token = IntFormat(bits=6, granularity="token", scale="absmax")
    assert columns(INPUTS.fit(x, [fmt], (-1,))[0]) == [[]]
    assert loss(INPUTS, x, fmt, (-1,)) == loss(UNIFORM, x, token, (-1,))


def test_no_more_than_the_share_are_kept_and_the_largest_are():
    x = drawn((1, 500, 192), 5)
    for column, size in ((2, 30.0), (8, 50.0), (20, 40.0), (21, 35.0)):
        x[0, 0, column] = size
    (params,) = INPUTS.fit(x, [OutlierInputsFormat(bits=8)], (-1,))
    assert columns(params) == [[8, 20, 21]]
    (params,) = INPUTS.fit(x, [OutlierInputsFormat(bits=8, threshold=45.0)], (-1,))
    assert columns(params) == [[8]]


@pytest.mark.parametrize(("shape", "axes"), [((2, 10, 64), (-1,)), ((2, 64, 5, 5), (1,)),
                                             ((2, 3, 64, 10), (-2,))])
def test_a_column_is_a_term_of_the_sum_wherever_it_lies(shape, axes):
    x = drawn(shape)
    x.movedim(axes[0], -1)[..., 7] *= 50
    fmt = OutlierInputsFormat(bits=4, threshold=5.0)
    (params,) = INPUTS.fit(x, [fmt], axes)
    assert columns(params) == [[7], [7]]
    y = fake_quantize(INPUTS, x, params, fmt, axes).movedim(axes[0], -1)
    torch.testing.assert_close(y[..., 7], x.movedim(axes[0], -1)[..., 7], rtol=2**-11, atol=1e-6)


def test_every_sample_has_columns_of_its_own():
    x = drawn((3, 50, 192), 6)
    x[0, 0, 5], x[2, 0, 90] = 40, 4e6
    (params,) = INPUTS.fit(x, [OutlierInputsFormat(bits=8)], (-1,))
    assert columns(params) == [[5], [], [90]]


def test_settings_of_activations():
    fmt = OutlierInputsFormat(bits=8)
    assert (fmt.dynamic, fmt.calibrated, fmt.columnwise) == (True, False, False)
    assert fmt.arithmetic_bits == 16 / 64 + 8 * 63 / 64
    with pytest.raises(BadInput, match="threshold of outliers"):
        replace(fmt, threshold=0.0)
    with pytest.raises(BadInput, match="a number above 0, not inf"):
        replace(fmt, threshold=math.inf)
    with pytest.raises(BadInput, match="use token"):
        replace(fmt, granularity="tensor")
