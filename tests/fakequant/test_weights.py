"""Weights in their formats: along the right dimension, found in one visit."""

import pytest
import torch

from mpsearch.core.errors import BadInput
from mpsearch.fakequant.weights import Weights
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.quantizers.uniform import Uniform


def steps_by_hand(rows, bits):
    """The step of each row that just reaches its largest number on either side of 0."""
    flat = rows.reshape(len(rows), -1)
    last = 2 ** (bits - 1)
    return torch.maximum(flat.amax(1) / (last - 1), -flat.amin(1) / last)


@pytest.fixture
def weights(models):
    def of(name):
        model = models.caught(name)
        return Weights(model.program, model.layers)
    return of


@pytest.fixture
def fits(monkeypatch):
    """The tensors and formats of every call of the quantizer's fit."""
    seen = []
    original = Uniform.fit

    def fit(self, x, formats, axes=None):
        seen.append((tuple(x.shape), len(formats)))
        return original(self, x, formats, axes)

    monkeypatch.setattr(Uniform, "fit", fit)
    return seen


@pytest.mark.parametrize(("name", "layer", "rows"), [
    ("chain", "layers.0", lambda m: m.layers[0].weight),
    ("residual", "conv1", lambda m: m.conv1.weight),
    ("language", "tokens", lambda m: m.tokens.weight),
    ("stored", "first", lambda m: m.first.T),
    ("stored", "conv1d_weight", lambda m: m.conv1d_weight.T),
    ("stored", "qkv", lambda m: m.qkv),
    ("stored", "experts", lambda m: m.experts.transpose(1, 2).reshape(15, 4)),
    ("stored", "gate", lambda m: m.gate[None]),
    ("autoencoder", "basis", lambda m: m.basis.T),
])
def test_each_output_channel_has_its_own_scale(models, weights, name, layer, rows):
    expected = rows(models.caught(name).module)
    store, fmt = weights(name), models.int_format(4)
    assert torch.equal(store.rows(layer), expected)
    steps = steps_by_hand(expected, 4)
    scale = store.encode(layer, fmt)[1].scale
    torch.testing.assert_close(scale, steps[:, None], rtol=1e-3, atol=0)  # 16 bits are kept
    error = (store.fake(layer, fmt) - expected).reshape(len(expected), -1).abs()
    assert bool((error <= 0.51 * steps[:, None]).all())
    assert error.max() > 0


def test_the_stored_orientation_is_the_models(models, weights):
    store, fmt = weights("stored"), models.int_format(3)
    for layer in ("first", "experts", "qkv", "gate"):
        node, tensor = store.fake_as_stored(layer, fmt)
        stored = models.caught("stored").program.parameters[node]
        assert tensor.shape == stored.shape
        assert not torch.equal(tensor, stored)
    _, turned = store.fake_as_stored("first", fmt)
    assert torch.equal(turned.T, store.fake("first", fmt))


def test_codes_decode_to_the_fake_weight(models, weights):
    store, fmt = weights("residual"), models.int_format(4)
    codes, params = store.encode("conv1", fmt)
    assert codes.shape == (4, 2, 3, 3)
    assert codes.abs().max() <= 8
    decoded = (codes - params.zero_point.view(-1, 1, 1, 1)) * params.scale.view(-1, 1, 1, 1)
    assert torch.equal(decoded, store.fake("conv1", fmt))


def test_all_formats_are_found_in_one_visit(models, weights, fits):
    store = weights("chain")
    schemes = models.weights_and_inputs((2, 4, 8), [models.int_format(b, "token") for b in (4, 8)])
    store.prepare("layers.1", schemes)
    assert fits == [((8, 8), 3)]
    for scheme in schemes:
        store.fake("layers.1", scheme.weight)
    store.prepare("layers.1", schemes[:2])
    assert len(fits) == 1


def test_only_missing_formats_are_found(models, weights, fits):
    store = weights("chain")
    store.prepare("layers.1", models.weights_only(4))
    store.prepare("layers.1", models.weights_only(2, 4, 8))
    assert fits == [((8, 8), 1), ((8, 8), 2)]


def test_tied_layers_are_visited_once(models, weights, fits):
    store = weights("language")
    for layer in ("tokens", "head"):
        store.prepare(layer, models.weights_only(4, 8))
    assert fits == [((11, 8), 2)]


def test_asking_is_enough(models, weights):
    prepared, asked = weights("chain"), weights("chain")
    prepared.prepare("layers.0", models.weights_only(2, 4))
    fmt = models.int_format(4)
    assert torch.equal(prepared.fake("layers.0", fmt), asked.fake("layers.0", fmt))


def test_a_matmul_has_nothing_to_prepare(models, weights, fits):
    weights("attention").prepare("matmul_0", models.weights_only(4))
    assert fits == []


def test_a_bad_weight_is_named(models, weights):
    module = models.caught("chain").module
    before = module.layers[1].weight[0, 0].clone()
    try:
        module.layers[1].weight.data[0, 0] = torch.nan
        with pytest.raises(BadInput, match=r"the weight of layer 'layers.1': .*not finite"):
            weights("chain").prepare("layers.1", models.weights_only(4))
    finally:
        module.layers[1].weight.data[0, 0] = before


def test_a_format_finds_its_quantizer(models):
    assert isinstance(quantizer_of(models.int_format(4)), Uniform)
