"""Unknown interactions of pairs: the covariance is that of draws, and measurements tell them."""

from dataclasses import replace

import numpy as np
import pytest

from mpsearch.nas import pairs
from mpsearch.nas.moves import around
from mpsearch.nas.residual import fitted


@pytest.fixture(scope="module")
def near(net):
    found = around(net.landscape, net.landscape.placed(net.landscape.scores),
                   np.random.default_rng(1))
    return np.random.default_rng(2).permutation(found)[:120]


def test_the_covariance_is_that_of_draws(net, near):
    own, rng = pairs.roots(net.landscape, near[:4]), np.random.default_rng(0)
    drawn = np.array([pairs.seen(pairs.drawn(rng, net.groups), own) for _ in range(20000)])
    assert np.cov(drawn.T) == pytest.approx(pairs.kernel(own, own), abs=0.02)
    assert pairs.variance(own) == pytest.approx(np.diag(pairs.kernel(own, own)))


def test_what_is_told_of_pairs_adds_up_to_what_the_covariance_says(net, near):
    own, other = (pairs.roots(net.landscape, part) for part in (near[:9], near[9:20]))
    weights = np.random.default_rng(0).normal(size=9)
    told = pairs.told(weights, own)
    assert pairs.seen(told, other) == pytest.approx(pairs.kernel(other, own) @ weights)


def test_a_change_of_one_group_is_what_the_linear_scores_say(net, near):
    beside = pairs.drawn(np.random.default_rng(0), net.groups)
    scores = pairs.linear(net.landscape, beside, near[0])
    changed = near[0].copy()
    changed[3] = (changed[3] + 1) % 5
    both = np.array([near[0], changed])
    before, after = pairs.seen(beside, pairs.roots(net.landscape, both)) * net.landscape.additive(
        both)
    assert after - before == pytest.approx(scores[3, changed[3]] - scores[3, near[0][3]])


def test_measurements_tell_of_pairs_what_single_scores_cannot(net, near):
    rng = np.random.default_rng(5)
    beside = 0.3 * pairs.drawn(rng, net.groups)
    own = pairs.roots(net.landscape, near)
    logs = np.log(net.landscape.additive(near) * (1 + pairs.seen(beside, own)))
    made = fitted(net.landscape, near[:80], logs[:80])
    without = replace(made, pair=0.0)
    assert made.pair > 0
    errors = [np.abs(each.predict(near[80:])[0] - logs[80:]).mean() for each in (made, without)]
    assert errors[0] < 0.7 * errors[1]
    told = made.mean_pairs[np.triu_indices(net.groups, 1)]
    assert np.corrcoef(told, beside[np.triu_indices(net.groups, 1)])[0, 1] > 0.2
