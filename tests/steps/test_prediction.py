"""From scores to measured losses: recovered where exact, honest about what is not."""

import math

import numpy as np
import pytest

from mpsearch import api
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Evaluation
from mpsearch.steps import prediction
from mpsearch.steps.prediction import fit
from mpsearch.steps.request import require_policies
from mpsearch.workspace import Workspace

FEW = {"calibration_samples": 16, "evaluation_samples": 32, "batch_size": 16}


def evaluation(kl, *, stderr=0.0, top1=None, samples=100):
    return Evaluation(samples=samples, kl=kl, kl_stderr=stderr, agreement=1.0,
                      agreement_stderr=0.0, top1=top1, top1_stderr=None if top1 is None else 0.0,
                      float_top1=None if top1 is None else 0.9)


def scores(count=8, low=1e-3, high=1.0):
    return np.geomspace(low, high, count)


@pytest.mark.parametrize("count", [4, 5, 12])
@pytest.mark.parametrize(("factor", "power"), [(1.0, 1.0), (0.02, 0.6), (50.0, 2.3)])
def test_an_exact_power_law_is_recovered(count, factor, power):
    correction = fit(scores(count), [evaluation(factor * s**power) for s in scores(count)])
    for score in (1e-3, 0.02, 0.7, 1.0):
        found = correction.predict(score, 100)
        assert found.kl == pytest.approx(factor * score**power, rel=1e-6)
        assert found.kl_low == pytest.approx(found.kl_high, rel=1e-6)
    assert found.policies == count
    assert found.samples == 100


@pytest.mark.parametrize("score", [1e-5, 30.0])
def test_an_exact_power_law_holds_beyond_the_policies(score):
    correction = fit(scores(), [evaluation(2 * s**0.7) for s in scores()])
    assert correction.predict(score, 100).kl == pytest.approx(2 * score**0.7, rel=1e-5)


def test_a_bend_is_recovered():
    def bent(score):
        return math.exp(0.2 + 1.5 * math.log(score) + 0.08 * math.log(score)**2)

    correction = fit(scores(), [evaluation(bent(s)) for s in scores()])
    for score in (1e-3, 0.02, 1.0):
        assert correction.predict(score, 100).kl == pytest.approx(bent(score), rel=1e-6)


@pytest.mark.parametrize("kind", ["rising", "noise", "falling"])
@pytest.mark.parametrize("seed", range(10))
def test_a_worse_score_never_predicts_less(seed, kind):
    generator = np.random.default_rng(seed)
    s = scores(6) * generator.uniform(0.7, 1.4, 6)
    slope = {"rising": 0.5, "noise": 0.0, "falling": -1.0}[kind]
    found = [evaluation(kl, top1=float(top1)) for kl, top1 in zip(
        s**slope * generator.lognormal(0, 0.8, 6), generator.uniform(0.2, 0.9, 6), strict=True)]
    correction = fit(s, found)
    predicted = [correction.predict(score, 50) for score in np.geomspace(1e-6, 1e4, 60)]
    assert np.all(np.diff([each.kl for each in predicted]) >= -1e-12)
    assert np.all(np.diff([each.accuracy_loss for each in predicted]) >= -1e-12)
    for each in predicted:
        assert each.kl_low <= each.kl <= each.kl_high
        assert each.accuracy_loss_low <= each.accuracy_loss <= each.accuracy_loss_high


@pytest.mark.parametrize("count", [4, 5, 6, 8, 12])
def test_intervals_hold_the_truth_as_often_as_they_say(count):
    generator, held, draws, share = np.random.default_rng(count), 0, 300, 0.95

    def measured(score):
        return math.exp(math.log(3 * score**0.8) + generator.normal(0, 0.2))

    for _ in range(draws):
        found = fit(scores(count), [evaluation(measured(s)) for s in scores(count)]).predict(
            0.03, 100)
        held += found.kl_low <= measured(0.03) <= found.kl_high
    assert held / draws == pytest.approx(share, abs=3 * math.sqrt(share * (1 - share) / draws))


def test_intervals_widen_with_noise_distance_and_fewer_samples():
    def width(found):
        return math.log(found.kl_high / found.kl_low)

    bumps = [1.1, 0.9, 1.05, 0.95, 1.1, 0.9, 1.0, 1.0]
    found = [evaluation(s * bump, stderr=0.05 * s) for s, bump in zip(scores(), bumps, strict=True)]
    correction = fit(scores(), found)
    middle = correction.predict(0.03, 100)
    assert width(correction.predict(10.0, 100)) > width(middle)
    assert width(correction.predict(1e-5, 100)) > width(middle)
    assert width(correction.predict(0.03, 10)) > width(middle) > width(
        correction.predict(0.03, 10_000))
    exact = fit(scores(), [evaluation(s * b) for s, b in zip(scores(), bumps, strict=True)])
    assert width(exact.predict(0.03, 100)) < width(middle)
    noisier = fit(scores(), [evaluation(s * b**3) for s, b in zip(scores(), bumps, strict=True)])
    assert width(noisier.predict(0.03, 100)) > width(exact.predict(0.03, 100))


def test_the_noise_of_samples_alone_makes_a_normal_interval():
    found = [evaluation(s, stderr=0.1 * s, samples=64) for s in scores()]
    half = 1.96 * 0.1 * math.sqrt(1 + 64 / 256)
    predicted = fit(scores(), found).predict(0.1, 256)
    assert predicted.kl_high == pytest.approx(0.1 * math.exp(half), rel=1e-6)
    assert predicted.kl_low == pytest.approx(0.1 * math.exp(-half), rel=1e-6)


@pytest.mark.parametrize("s", [
    [], [0.1, 0.2, 0.3], [0.1, 0.1, 0.2, 0.2, 0.3], [0.0, 0.0, 0.1, 0.2, 0.3],
    [-1.0, 0.1, 0.2, 0.3],
])
def test_too_few_policies_that_differ_are_not_fitted(s):
    assert fit(s, [evaluation(0.1 + each**2) for each in s]) is None


def test_policies_that_lose_nothing_do_not_count():
    assert fit(scores(5), [evaluation(0.0), evaluation(0.0), *[evaluation(0.1)] * 3]) is None


@pytest.mark.parametrize("policies", [0, 4, 20])
def test_enough_policies_or_none_may_be_asked_for(policies):
    require_policies(policies)


@pytest.mark.parametrize("policies", [1, 3, -1])
def test_too_few_policies_may_not(policies):
    with pytest.raises(BadInput, match=f"at least 4 policies, not {policies}"):
        require_policies(policies)


def test_accuracy_losses_follow_the_predicted_kl():
    def lost(kl):
        return 0.9 * (1 - math.exp(-((kl / 2) ** 0.7)))

    correction = fit(scores(), [evaluation(3 * s, top1=0.9 - lost(3 * s)) for s in scores()])
    for score in (1e-3, 0.02, 0.5, 40.0):
        predicted = correction.predict(score, 100)
        assert predicted.accuracy_loss == pytest.approx(lost(3 * score), rel=1e-3)


@pytest.mark.parametrize("samples", [100, 1000])
def test_accuracy_intervals_hold_the_truth(samples):
    generator, held, draws = np.random.default_rng(samples), 0, 100

    def measured(score):
        kl = 3 * score * math.exp(generator.normal(0, 0.15))
        right = generator.binomial(samples, 0.9 * math.exp(-kl / 2))
        return evaluation(kl, top1=right / samples, samples=samples)

    for _ in range(draws):
        predicted = fit(scores(6), [measured(s) for s in scores(6)]).predict(0.2, samples)
        lost = 0.9 - measured(0.2).top1
        held += predicted.accuracy_loss_low <= lost <= predicted.accuracy_loss_high
    assert held / draws >= 0.93


def test_without_labels_nothing_is_said_of_accuracy():
    found = [evaluation(s, top1=0.8) for s in scores()]
    found[3] = evaluation(scores()[3])
    predicted = fit(scores(), found).predict(0.1, 100)
    assert predicted.accuracy_loss is predicted.accuracy_loss_low is None
    assert predicted.accuracy_loss_high is None


def test_a_policy_says_what_it_is_predicted_to_lose(tmp_path):
    def policy(policies):
        return api.allocate("4bpw", workspace=str(tmp_path), keep=True,
                            calibration_policies=policies, **FEW).policy

    told, plain = policy(5), policy(0)
    assert plain.prediction is None
    assert plain.layers == told.layers
    prediction = told.prediction
    assert 0 < prediction.kl_low < prediction.kl < prediction.kl_high
    assert prediction.accuracy_loss_low < prediction.accuracy_loss < prediction.accuracy_loss_high
    assert prediction.policies in (4, 5)
    assert prediction.samples == 16
    path = tmp_path / "policy.json"
    told.save(str(path))
    assert type(told).load(str(path)).prediction == prediction


def test_what_was_fitted_is_taken_from_the_workspace(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    found = [evaluation(kl, stderr=0.1 * kl, top1=0.9 - kl / 10) for kl in scores()]
    first = prediction._fitted(workspace, scores().tolist(), found)
    monkeypatch.setattr(prediction, "fit", lambda *_: None)
    assert prediction._fitted(workspace, scores().tolist(), found) == first
    assert first.accuracy is not None
    assert prediction._fitted(workspace, scores(low=2e-3).tolist(), found) is None
