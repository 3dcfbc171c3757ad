"""The squared error of weights, by hand."""

import pytest
import torch

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.uniform import Uniform
from mpsearch.sensitivity.weight_error import WeightError
from mpsearch.sensitivity.weights import WeightsEngine


def error(weight, fmt):
    quantizer = Uniform()
    quantized = fake_quantize(quantizer, weight, quantizer.fit(weight, [fmt])[0], fmt)
    return float((weight.double() - quantized.double()).square().sum())


def scores(models, name, schemes, **options):
    study = models.study_of(models.caught(name), schemes, [], **options)
    table, ledger = models.measure(WeightsEngine(), WeightError(), study)
    return dict(zip(table.groups, table.values, strict=True)), table, ledger


@pytest.mark.parametrize("granularity", ["channel", "tensor", "group:4"])
def test_it_is_the_squared_norm_of_the_error(models, granularity):
    formats = [models.int_format(bits, granularity) for bits in (2, 4, 8)]
    found, table, _ = scores(models, "residual", [Scheme(weight=fmt) for fmt in formats])
    module = models.caught("residual").module
    for layer in ("stem", "conv1", "down", "head"):
        weight = module.get_submodule(layer).weight
        assert found[layer] == pytest.approx([error(weight, fmt) for fmt in formats])
    assert table.unit == "squared weight"
    assert table.stderr is None


def test_turned_weights_are_scored_along_their_output_channels(models):
    found, _, _ = scores(models, "stored", models.weights_only(3))
    module = models.caught("stored").module
    assert found["first"][0] == pytest.approx(error(module.first.T, models.int_format(3)))
    assert found["first"][0] != pytest.approx(error(module.first, models.int_format(3)))


def test_layers_of_a_group_add_up(models):
    apart, _, _ = scores(models, "chain", models.weights_only(2, 4))
    tied, _, _ = scores(models, "chain", models.weights_only(2, 4),
                        tie=(("layers.0", "layers.2"),))
    assert tied["layers.0"] == pytest.approx(
        [a + b for a, b in zip(apart["layers.0"], apart["layers.2"], strict=True)])


def test_a_shared_tensor_counts_once(models):
    found, _, _ = scores(models, "language", models.weights_only(3), tie=(("tokens", "head"),))
    weight = models.caught("language").module.tokens.weight
    assert found["tokens"][0] == pytest.approx(error(weight, models.int_format(3)))


def test_float_and_matmuls_lose_nothing(models):
    found, _, _ = scores(models, "attention", (Scheme(), *models.weights_only(3)))
    assert found["matmul_0"] == (0.0,)
    assert {row[0] for row in found.values()} == {0.0}


def test_activations_are_refused(models):
    schemes = models.weights_and_inputs((4,), [models.int_format(8, "token")])
    with pytest.raises(BadInput, match=r"it scores weights only .* \(layer 'layers.0'\)"):
        scores(models, "chain", schemes)


def test_finished_groups_are_not_scored(models, monkeypatch):
    whole = scores(models, "chain", models.weights_only(2, 4))[1]
    known = models.MemoryLedger({"layers.1": [[1.0], [2.0]]})
    study = models.study_of(models.caught("chain"), models.weights_only(2, 4), [])
    seen = []
    original = WeightError.score
    monkeypatch.setattr(WeightError, "score", lambda self, weight, quantized: (
        seen.append(tuple(weight.shape)), original(self, weight, quantized))[1])
    table, _ = models.measure(WeightsEngine(), WeightError(), study, known)
    assert table.values[1] == (1.0, 2.0)
    assert (table.values[0], table.values[2]) == (whole.values[0], whole.values[2])
    assert seen == [(8, 6), (8, 6), (3, 8), (3, 8)]


def test_large_sums_keep_their_digits():
    weight = torch.full((1 << 16,), 1e4)
    assert WeightError().score(weight, weight - 1) == 1 << 16
