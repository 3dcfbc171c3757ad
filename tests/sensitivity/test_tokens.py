"""Weights of token groups, by hand."""

from dataclasses import replace

import pytest
import torch

from mpsearch.graph.samples import SampleAxis
from mpsearch.sensitivity.output_error import OutputError
from mpsearch.sensitivity.replay import ReplayEngine
from mpsearch.sensitivity.tokens import token_weights
from mpsearch.sources.batch import Batch

FIRST = SampleAxis(dim=0)
GROUPS = torch.tensor([[0, 0, 1], [7, 7, 7]])


def test_a_group_weighs_its_mean_gradient_over_that_of_all_tokens():
    # mean |g| of the tokens: 1, 3, 8 and 2, 2, 5; of all: 4 and 3
    g = torch.tensor([[[1.0, -1.0], [-2.0, 4.0], [8.0, 8.0]],
                      [[2.0, 2.0], [-2.0, 2.0], [5.0, -5.0]]])
    found = token_weights(GROUPS, g, FIRST, 2)
    assert found.shape == (2, 3, 1)
    assert found.flatten().tolist() == pytest.approx([0.5, 0.5, 2, 1, 1, 1])


def test_tokens_may_lie_in_any_dimension_but_the_first():
    g = torch.tensor([[1.0, 3.0, 8.0], [2.0, 2.0, 5.0]])[:, None, :].expand(2, 5, 3)
    found = token_weights(GROUPS, g, FIRST, 2)
    assert found.shape == (2, 1, 3)
    assert found.flatten().tolist() == pytest.approx([0.5, 0.5, 2, 1, 1, 1])


def test_weights_average_to_one():
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(4, 9, 3, generator=generator)
    groups = torch.randint(0, 4, (4, 9), generator=generator)
    found = token_weights(groups, g, FIRST, 4)
    torch.testing.assert_close(found.mean((1, 2)), torch.ones(4))


def test_without_gradient_all_tokens_weigh_the_same():
    found = token_weights(GROUPS, torch.zeros(2, 3, 4), FIRST, 2)
    assert found.unique().tolist() == [1]


def test_samples_that_fill_up_a_batch_have_the_last_ones_groups():
    g = torch.tensor([[1.0, 3.0, 8.0]] * 3)[:, :, None]
    found = token_weights(torch.tensor([[0, 0, 0], [0, 0, 1]]), g, FIRST, 3)
    assert found[0].flatten().tolist() == [1, 1, 1]
    assert found[1].flatten().tolist() == found[2].flatten().tolist() == [0.5, 0.5, 2]


@pytest.mark.parametrize(("tokens", "shape", "axis"), [
    (None, (2, 3, 4), FIRST), (GROUPS, (2, 3, 4), None), (GROUPS, (2, 4, 5), FIRST),
    (GROUPS, (2, 3), SampleAxis(dim=1)), (GROUPS, (6, 3), SampleAxis(dim=0, run=3)),
    (GROUPS, (2,), FIRST),
])
def test_where_no_dimension_counts_the_tokens_there_are_none(tokens, shape, axis):
    assert token_weights(tokens, torch.ones(shape), axis, 2) is None


def test_they_weigh_squared_output_changes(models):
    model, (x,) = models.caught("attention"), models.inputs_of("attention", 3)
    study = models.study_of(model, models.weights_only(3), [(x,)])

    def errors(tokens):
        batch = Batch(args=(x,), tokens=tokens)
        table, _ = models.measure(ReplayEngine(), OutputError(), replace(study, batches=[batch]))
        return dict(zip(table.groups, [row[0] if row else 0 for row in table.values], strict=True))

    plain = errors(None)
    alike = errors(torch.zeros(3, 5, dtype=torch.long))
    assert alike == pytest.approx(plain, rel=1e-5)
    apart = errors(torch.arange(5).expand(3, 5))
    assert apart["v"] != pytest.approx(plain["v"], rel=1e-3)
    assert apart["head"] == plain["head"]  # no tokens are left there
