"""The best of many is a winner only if noise would not have picked one as good."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.nas.winner import band


def study(seed, *, trials=40, samples=128, gain=0.0, spread=0.3):
    """The start's losses and those of trials as good, or all better by a share of *gain*."""
    rng = np.random.default_rng(seed)
    start = rng.lognormal(0, 1, samples)
    return start, [start * (1 - gain) + start * rng.normal(0, spread, samples)
                   for _ in range(trials)]


def picked(found):
    return sorted(found, key=lambda each: each.mean())


def test_noise_alone_hardly_ever_declares_a_winner():
    declared = naive = 0
    for seed in range(60):
        start, found = study(seed)
        best, *others = picked(found)
        declared += band(best, start, others).high < 0
        naive += band(best, start, []).high < 0
    assert declared <= 6
    assert naive > 18, "the same test that forgets the others is often wrong"


def test_a_real_gain_is_seen_through_the_noise():
    for seed in range(10):
        start, found = study(seed, gain=0.5)
        best, *others = picked(found)
        told = band(best, start, others)
        assert told.low < told.difference < told.high < 0


def test_more_trials_widen_it_and_trials_that_are_alike_do_not():
    start, trials = study(3)
    alone, few, many = (band(trials[0], start, trials[1:end]) for end in (1, 5, 40))
    assert alone.high - alone.low < few.high - few.low < many.high - many.low
    copies = band(trials[0], start, [trials[0]] * 30)
    assert copies.high == pytest.approx(alone.high)
    assert (alone.trials, many.trials, copies.trials) == (1, 40, 31)


def test_alone_it_is_students_interval():
    from scipy import stats

    start, (own, *_) = study(1, samples=20)
    found = band(own, start, [])
    error = (own - start).std(ddof=1) / np.sqrt(20)
    assert found.high - found.difference == pytest.approx(stats.t.ppf(0.975, 19) * error, rel=0.06)


def test_one_that_ended_early_counts_by_what_it_has():
    start, trials = study(2)
    short = [trial[:16] for trial in trials[1:]]
    alone, found = band(trials[0], start, []), band(trials[0], start, short)
    assert found.high > alone.high
    assert found.trials == 40


@given(st.integers(1, 12), st.integers(0, 5), st.integers(0, 99))
def test_the_start_is_no_better_than_itself(samples, trials, seed):
    start, others = study(seed, trials=trials, samples=samples)
    found = band(start, start, others)
    assert found.difference == found.low == found.high == 0
    assert band(start, start, [start]).trials == 0
    again = [band(each, start, others) for each in others for _ in range(2)]
    assert again[::2] == again[1::2]
    assert all(each.low <= each.difference <= each.high for each in again)
