"""Where the data tells segments apart, a table has the scores of each of them."""

from dataclasses import replace

import pytest
import torch

from mpsearch import plugins
from mpsearch.sources.batch import Batch

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
