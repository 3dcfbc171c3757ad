"""Interactions of layers: exact where they must be, and only what other samples confirm."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mpsearch.core.types import Scheme, ScoreTable
from mpsearch.sensitivity import gram
from mpsearch.sensitivity.gram import GramCollector, shrinkage
from mpsearch.sensitivity.kl_probe import KlProbe
from mpsearch.sensitivity.logit_gram import LogitGram
from mpsearch.sensitivity.probe import ProbeEngine

APART = np.array([[0.0, 1.0], [1.0, 0.0]])


class Additive(nn.Module):
    """Layers whose changes add up in the logits."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(6, 4) for _ in range(3))

    def forward(self, x):
        return self.a(x) + self.b(x.abs()) + self.c(x.square())


def measured(models, study, **settings):
    return models.measure(ProbeEngine(), LogitGram(**settings), study)[0]


def quadratic(reference, output):
    """Half of the mean of ``Δᵀ (diag(p) - p pᵀ) Δ``."""
    p, delta = reference.double().softmax(-1), (output - reference).double()
    fisher = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)
    return float(torch.einsum("...i,...ij,...j->...", delta, fisher, delta).mean()) / 2


@pytest.fixture
def additive(models):
    """A model, its inputs (each four times, so that all folds are alike) and a study."""
    torch.manual_seed(0)
    module, x = Additive().eval(), torch.randn(6, 6).repeat_interleave(4, 0)
    model = models.catch(module, (x,))
    schemes = (*models.weights_only(2, 3), Scheme())
    return model, x, models.study_of(model, schemes, [(x,)])


def test_where_changes_add_up_every_choice_is_predicted_exactly(models, additive):
    model, x, study = additive
    table = measured(models, study)
    alone = []
    for choice in product(range(3), repeat=3):
        schemes = {group.name: group.schemes[k]
                   for group, k in zip(study.space.groups, choice, strict=True)}
        joint = models.quantized_copy(model.module, schemes)(x)
        expected = quadratic(model.module(x), joint)
        assert table.predict(choice) == pytest.approx(expected, rel=1e-4, abs=1e-9)
        alone.append(abs(table.total(choice) - expected) / max(expected, 1e-9))
    assert max(alone) > 0.1  # interactions there are


def test_fewer_directions_predict_less(models, additive):
    _, _, study = additive
    assert [len(measured(models, study, rank=rank).factor) for rank in (0, 1, 3)] == [0, 1, 3]
    whole, none = measured(models, study), measured(models, study, rank=0)
    assert none.values == whole.values
    assert none.predict((0, 0, 0)) == none.total((0, 0, 0)) != whole.predict((0, 0, 0))


def test_float_schemes_have_no_column(models, additive):
    table = measured(models, additive[2])
    assert {row[2] for row in table.values} == {0.0}
    columns = np.array(table.factor)
    assert columns.shape[1] == 9
    assert np.abs(columns[:, [2, 5, 8]]).max() < 1e-12
    assert columns[:, [0, 1, 3, 4, 6, 7]].any(0).all()


@pytest.mark.parametrize("network", ["chain", "attention", "positions", "maps", "language"])
def test_the_diagonal_is_the_divergence_of_small_changes(models, network):
    study = models.study_of(models.caught(network), models.weights_only(10),
                            [models.inputs_of(network, 6)])
    table = measured(models, study)
    probed, _ = models.measure(ProbeEngine(), KlProbe(), study)
    for group, found, expected in zip(table.groups, table.values, probed.values, strict=True):
        assert found == pytest.approx(expected, rel=0.03, abs=1e-12), group


@pytest.mark.parametrize("network", ["chain", "branch", "tokens_first"])
def test_batches_may_be_cut_in_any_way(models, network):
    (x,) = models.inputs_of(network, 5)
    found = []
    for sizes in ((3, 2), (1, 3, 1)):
        study = models.study_of(models.caught(network), models.weights_only(2, 3),
                                [(part,) for part in x.split(sizes)])
        found.append(measured(models, study, folds=2))
    one, other = found
    for left, right in zip(one.values, other.values, strict=True):
        assert left == pytest.approx(right, rel=1e-3, abs=1e-9)
    for choice in product(*[range(len(row)) for row in one.values]):
        assert one.predict(choice) == pytest.approx(other.predict(choice), rel=1e-3)


def test_prediction_by_hand():
    table = ScoreTable(metric="it", unit="nats", groups=("a", "b"),
                       values=((1.0, 2.0), (4.0, 8.0, 16.0)),
                       factor=((1.0, 2.0, 3.0, 0.0, -1.0), (0.0, 1.0, 1.0, 5.0, 0.5)))
    assert table.predict((0, 0)) == 1 + 4 + 2 * (1 * 3 + 0 * 1)
    assert table.predict((1, 2)) == 2 + 16 + 2 * (2 * -1 + 1 * 0.5)
    assert table.predict((1, 1)) == 2 + 8 + 2 * (2 * 0 + 1 * 5)
    assert table.total((1, 1)) == 10


def fold(between, sizes=(1.0, 1.0)):
    return np.array([[sizes[0], between], [between, sizes[1]]])


@pytest.mark.parametrize(("folds", "expected"), [
    ([fold(0.3)] * 4, 1.0),
    ([fold(0.5), fold(-0.5)], 0.0),
    ([fold(0.5), fold(0.25)], 2 * 0.5 * 0.25 / (0.5**2 + 0.25**2)),
    ([fold(0.2), fold(0.4), fold(0.0)], 0.2 * 0.2 + 0.4 * 0.1),
    ([fold(0.0)] * 3, 0.0),
    ([fold(0.5)], 0.0),
    ([fold(0.5, (0.0, 1.0))] * 2, 0.0),
])
def test_shrinkage_by_hand(folds, expected):
    if len(folds) == 3 and expected:  # others' means: 0.2, 0.1 and 0.3
        expected /= 0.2**2 + 0.1**2 + 0.3**2
    assert shrinkage(folds, APART) == pytest.approx(expected)


def test_only_pairs_of_two_groups_decide_the_shrinkage():
    folds = [np.array([[1.0, 0.9 * sign, 0.2], [0.9 * sign, 1.0, 0.2], [0.2, 0.2, 1.0]])
             for sign in (1, -1)]
    apart = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    assert shrinkage(folds, apart) == pytest.approx(1.0)


def test_large_changes_do_not_decide_the_shrinkage_alone():
    grow = np.diag([1.0, 1.0, 1e3])
    plain = [np.array([[1, a, b], [a, 1, c], [b, c, 1]])
             for a, b, c in ((0.3, 0.1, 0.2), (0.4, -0.1, 0.1), (0.2, 0.3, 0.0))]
    apart = 1 - np.eye(3)
    assert shrinkage([grow @ each @ grow for each in plain], apart) == pytest.approx(
        shrinkage(plain, apart))


def test_interactions_of_pure_noise_shrink_to_almost_nothing():
    generator = np.random.default_rng(0)
    kept = []
    for _ in range(50):
        changes = generator.standard_normal((4, 6, 40))
        folds = [each @ each.T for each in changes]
        kept.append(shrinkage(folds, 1 - np.eye(6)))
    assert np.mean(kept) < 0.15
    assert np.median(kept) < 0.1


def test_shrinking_scales_interactions_and_leaves_the_scores(models, additive, monkeypatch):
    _, _, study = additive
    whole = measured(models, study)
    monkeypatch.setattr(gram, "shrinkage", lambda *_: 0.25)
    part = measured(models, study)
    choice = (0, 1, 0)
    assert part.values == whole.values
    assert part.predict(choice) - part.total(choice) == pytest.approx(
        (whole.predict(choice) - whole.total(choice)) / 4)


def test_a_sketch_keeps_inner_products_on_average():
    torch.manual_seed(0)
    a, b = torch.randn(1, 50), torch.randn(1, 50)
    b += a
    products = []
    for seed in range(1500):
        collector = GramCollector(LogitGram(dimensions=16), SimpleNamespace(seed=seed), 0)
        left, right = collector._sketched(a), collector._sketched(b)
        assert left.shape == (1, 16)
        products.append(float((left * right).sum()))
    error = np.std(products) / np.sqrt(len(products))
    assert abs(np.mean(products) - float((a * b).sum())) < 4 * error
    assert error < 0.02 * float((a * b).sum())


def test_outputs_that_fit_are_not_sketched(models, additive):
    _, _, study = additive
    assert measured(models, study, dimensions=4) == measured(models, study)
    assert measured(models, study, dimensions=3) != measured(models, study)
