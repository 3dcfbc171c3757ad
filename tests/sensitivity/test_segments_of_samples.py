"""Where the data tells segments apart, a table has the scores of each of them."""

from dataclasses import replace

import pytest
import torch

from mpsearch import plugins
from mpsearch.core.errors import BadInput
from mpsearch.sources.batch import Batch, Batches
from mpsearch.sources.function import batches_of
from mpsearch.sources.recut import recut

HOMES = [torch.tensor([7, 0, 7]), torch.tensor([0, 7])]
MEANS = ["fisher", "output_error", "sqnr", "gradient", "fisher_diag", "gauss_newton", "lrp",
         "kl_probe", "metric_probe", "skip"]


@pytest.fixture
def study(models):
    batches = [models.inputs_of("residual", n, seed=n) for n in (3, 2)]
    return models.study_of(models.caught("residual"), models.weights_only(2, 4), batches)


def told_apart(study, homes):
    return replace(study, batches=[Batch(args=batch.args, segments=home) for batch, home in zip(
        study.batches, homes, strict=True)])


@pytest.mark.parametrize("name", MEANS)
def test_their_weighted_mean_is_the_whole(models, study, name):
    estimator = plugins.make("estimator", name)
    engine = plugins.load("engine", estimator.engine)()
    plain, _ = models.measure(engine, estimator, study)
    table, _ = models.measure(engine, estimator, told_apart(study, HOMES))
    assert plain.segments == ()
    assert replace(table, segments=()) == plain
    assert [(part.name, part.samples) for part in table.segments] == [("0", 2), ("7", 3)]
    first, second = (torch.tensor(part.values, dtype=torch.float64) for part in table.segments)
    assert not torch.allclose(first, second)
    torch.testing.assert_close((2 * first + 3 * second) / 5,
                               torch.tensor(table.values, dtype=torch.float64))


def test_a_segment_scores_what_its_samples_score_alone(models, study):
    estimator = plugins.make("estimator", "kl_probe")
    engine = plugins.load("engine", estimator.engine)()
    table, _ = models.measure(engine, estimator, told_apart(study, HOMES))
    rows = [Batch(args=tuple(arg[home == 7] for arg in batch.args))
            for batch, home in zip(study.batches, HOMES, strict=True)]
    alone, _ = models.measure(engine, estimator, replace(study, batches=rows))
    torch.testing.assert_close(torch.tensor(table.segments[1].values), torch.tensor(alone.values),
                               rtol=1e-3, atol=1e-9)


def test_segments_of_some_batches_only_are_not_told_apart(models, study):
    estimator = plugins.make("estimator", "fisher")
    some = told_apart(study, [HOMES[0], None])
    table, _ = models.measure(plugins.load("engine", estimator.engine)(), estimator, some)
    assert table.segments == ()


def given_batches(**about):
    return [{"args": torch.arange(6.0).reshape(3, 2) + 6 * number, **about} for number in (0, 1)]


def test_segments_and_tokens_stay_with_their_samples():
    x = torch.arange(10.0)[:, None]
    data = [{"args": part, "segments": part[:, 0].long(), "tokens": part.long().expand(-1, 4)}
            for part in x.split(3)]
    for split in ("calibration", "evaluation", None):
        batches = recut(batches_of(data, split=split, samples=5, where="here"), 2, where="here")
        assert [batch.size for batch in batches] == [2, 2, 1]
        for batch in batches:
            assert torch.equal(batch.segments, batch.args[0][:, 0].long())
            assert torch.equal(batch.tokens, batch.args[0].long().expand(-1, 4))


@pytest.mark.parametrize(("about", "words"), [
    ({"segments": torch.zeros(3)}, "segments that are not integers: .* one integer a sample"),
    ({"segments": [0, 1, 2]}, "segments that are not integers"),
    ({"segments": torch.zeros(3, 2).long()}, r"unequal lengths \(3, 6\)"),
    ({"segments": torch.zeros(2).long()}, r"unequal lengths \(3, 2\)"),
    ({"tokens": torch.zeros(3).long()}, r"integers of shape \(samples, tokens\)"),
    ({"tokens": torch.zeros(3, 4)}, r"integers of shape \(samples, tokens\)"),
    ({"tokens": torch.zeros(2, 4).long()}, r"unequal lengths \(3, 2\)"),
    ({"segment": torch.zeros(3).long()}, "'segment': the keys are args, labels, segments, tokens"),
])
def test_what_does_not_fit_the_samples_is_refused(about, words):
    with pytest.raises(BadInput, match=words):
        batches_of(given_batches(**about), split=None, samples=9, where="here")


def test_segments_in_some_batches_only_are_refused():
    data = [*given_batches(segments=torch.zeros(3).long()), *given_batches()]
    found = batches_of(data, split=None, samples=12, where="here")
    with pytest.raises(BadInput, match="here has segments in some batches only"):
        recut(found, 4, where="here")


def test_labels_and_segments_of_the_same_numbers_are_told_apart():
    x, numbers = torch.zeros(3, 2), torch.arange(3)
    made = [Batches.of([Batch(args=(x,), **{name: numbers})]).digest
            for name in ("labels", "segments")]
    assert made[0] != made[1]
