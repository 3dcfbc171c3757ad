import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.steps.compare import compare

DRAWN = np.random.default_rng(0)
LOSS = DRAWN.gamma(0.3, size=200)
"""Losses as they are: most near zero, a few large."""


def test_a_loss_that_is_lower_on_nearly_every_sample_is_better():
    assert compare(0.7 * LOSS, LOSS).verdict == "better"
    assert compare(LOSS, 0.7 * LOSS).verdict == "worse"


def test_noise_around_no_difference_is_the_same():
    noise = DRAWN.normal(size=200) * 0.1
    assert compare(LOSS + noise - noise.mean(), LOSS).verdict == "same"


def test_a_difference_below_the_noise_is_the_same_until_there_are_enough_samples():
    noise = np.random.default_rng(5).normal(loc=0.05, scale=0.3, size=4000)
    assert compare(noise[:20], np.zeros(20)).verdict == "same"
    assert compare(noise, np.zeros(4000)).verdict == "worse"


def test_pairing_sees_what_the_spread_between_samples_would_hide():
    other = LOSS + 0.01
    assert compare(other, LOSS).verdict == "worse"
    assert LOSS.std() / 10 > 0.01


def test_the_interval_is_the_percentile_bootstrap_of_the_mean():
    difference = DRAWN.normal(loc=1.0, size=400)
    found = compare(difference, np.zeros(400))
    error = difference.std(ddof=1) / 20
    assert found.difference == pytest.approx(difference.mean())
    assert found.low == pytest.approx(difference.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(difference.mean() + 1.96 * error, abs=0.2 * error)


def test_about_one_in_twenty_equal_pairs_is_told_apart():
    drawn = np.random.default_rng(1)
    verdicts = [compare(drawn.normal(size=100), drawn.normal(size=100)).verdict
                for _ in range(100)]
    assert 0 < 100 - verdicts.count("same") < 14


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20))
def test_it_is_antisymmetric_and_the_same_every_time(pairs):
    this, that = zip(*pairs, strict=True)
    found, mirrored = compare(this, that), compare(that, this)
    assert compare(this, that) == found
    assert found.low <= found.high
    assert mirrored.low == pytest.approx(-found.high, abs=1e-9)
    assert mirrored.difference == pytest.approx(-found.difference, abs=1e-9)
    opposite = {"better": "worse", "worse": "better", "same": "same"}
    assert mirrored.verdict == opposite[found.verdict]


def test_equal_losses_are_the_same():
    assert compare(LOSS, LOSS).verdict == "same"
    assert compare([0.5], [0.5]).verdict == "same"
