"""Scores corrected by measurements of whole choices."""

import numpy as np
import pytest

from mpsearch.nas.landscape import totals
from mpsearch.nas.moves import around, fresh, improvement, start_of
from mpsearch.nas.predictors import Additive, BoostedTrees, GaussianProcess, Ridge, Table, errors
from mpsearch.nas.prior import Prior
from mpsearch.nas.residual import fitted, line


@pytest.fixture(scope="module")
def seen(net):
    """Choices within the budget near the allocated one, and their losses."""
    start = net.landscape.placed(net.landscape.scores)
    choices = around(net.landscape, start, np.random.default_rng(1))[:80]
    return choices, np.array([net.loss(choice) for choice in choices])


def test_corrected_scores_predict_choices_that_were_not_measured(net, seen):
    choices, losses = seen
    made = fitted(net.landscape, choices[:60], np.log(losses[:60]))
    mean, deviation = made.predict(choices[60:])
    plain = Additive()(net.landscape, choices[:60], np.log(losses[:60])).predict(choices[60:])[0]
    wanted = np.log(losses[60:])
    assert np.square(mean - wanted).mean() < 0.5 * np.square(plain - wanted).mean()
    z = (wanted - mean) / deviation
    assert np.abs(z).mean() < 2  # deviations are honest
    assert deviation.min() > 0


def test_what_was_measured_is_known_well_and_the_rest_less(net, seen):
    choices, losses = seen
    made = fitted(net.landscape, choices[:30], np.log(losses[:30]))
    far = np.full((1, net.groups), 4, dtype=np.intp)
    assert made.predict(choices[:30])[1].mean() < made.predict(far)[1][0]


def test_draws_are_spread_around_the_mean_as_predicted(net, seen):
    choices, losses = seen
    made = fitted(net.landscape, choices[:20], np.log(losses[:20]))
    rng = np.random.default_rng(0)
    drawn = np.array([made.drawn(rng)[0] for _ in range(400)])
    base = totals(net.landscape.scores, choices[40:43])
    linear = np.einsum("dgs,ngs->dn", drawn, _columns(net, choices[40:43]))
    expected = np.einsum("gs,ngs->n", made.mean, _columns(net, choices[40:43]))
    moved = totals(made.corrected(made.mean), choices[40:43]) / base
    own = np.sqrt(made.predict(choices[40:43])[1]**2 - made.noise**2) * moved / made.slope
    assert linear.mean(0) == pytest.approx(expected, abs=4 * own.max() / 20)
    assert linear.std(0) == pytest.approx(own, rel=0.2)


def _columns(net, choices):
    from mpsearch.nas.residual import columns_of

    return columns_of(net.landscape, choices)


def test_the_prior_multiplies_as_its_draws_vary(net):
    prior = Prior(landscape=net.landscape, unit=0.3, group=0.2, own=0.1)
    rng = np.random.default_rng(3)
    drawn = np.array([prior.drawn(rng).ravel() for _ in range(20000)])
    identity = np.eye(drawn.shape[1]).reshape(-1, *net.landscape.scores.shape)
    wanted = prior.times(identity).reshape(len(identity), -1)
    assert np.cov(drawn.T) == pytest.approx(wanted, abs=0.01)
    assert np.allclose(wanted, wanted.T)


def test_a_line_is_found_where_there_is_one():
    x = np.linspace(-5, 5, 50)
    assert line(x, 2.0 + 0.7 * x) == pytest.approx((2.0, 0.7), abs=0.02)
    assert line(np.zeros(3), np.array([1.0, 2.0, 3.0])) == (2.0, 1.0)


@pytest.mark.parametrize("predictor", [Table(), Additive(), Ridge(), GaussianProcess(),
                                       BoostedTrees()], ids=lambda each: type(each).__name__)
def test_every_predictor_repeats_itself_and_ranks_choices(net, predictor):
    wide = np.random.default_rng(2).integers(0, 5, (120, net.groups))
    choices = wide[net.landscape.additive(wide) < np.median(net.landscape.additive(wide))]
    losses = np.array([net.loss(choice) for choice in choices])
    first, again = (predictor(net.landscape, choices[:40], np.log(losses[:40])).predict(
        choices[40:]) for _ in range(2))
    assert np.array_equal(first[0], again[0])
    assert (first[1] > 0).all()
    ranks = [np.argsort(np.argsort(each)) for each in (first[0], losses[40:])]
    assert np.corrcoef(*ranks)[0, 1] > 0.5


def test_held_out_errors_tell_the_better_predictor(net, seen):
    choices, losses = seen
    found = errors({"table": Table(), "additive": Additive()}, net.landscape, choices,
                   np.log(losses))
    assert found["table"] < found["additive"]


def test_moves_keep_to_the_limits_and_change_few_groups(net):
    start = net.landscape.placed(net.landscape.scores)
    near = around(net.landscape, start, np.random.default_rng(0))
    assert len(near) > 100
    assert net.landscape.within(near).all()
    assert ((near != np.array(start)).sum(1) <= 4).all()
    assert len(np.unique(near, axis=0)) == len(near)
    left = fresh(near, {tuple(near[0].tolist())})
    assert len(left) == len(near) - 1


def test_expected_improvement_prefers_low_and_uncertain():
    gains = improvement(np.array([0.0, -1.0, 0.0]), np.array([0.1, 0.1, 1.0]), 0.0)
    assert gains[1] > gains[2] > gains[0] > 0
    assert gains[0] == pytest.approx(0.1 / np.sqrt(2 * np.pi))  # at the best itself


def test_the_start_is_the_best_within_the_limits(net):
    cheap, dear = (0,) * net.groups, (4,) * net.groups
    both = np.array([cheap, dear])
    assert start_of(net.landscape, both, np.array([1.0, 0.1])) == cheap
    assert start_of(net.landscape, both[1:], np.array([0.1])) is None
