"""The layer that goes wrong is named, and masks are not blamed."""

import pytest
import torch
from torch import nn

from mpsearch.core.errors import BadInput
from mpsearch.graph.finite import require_finite


@pytest.fixture
def complaint(models):
    """What is said about a model of models.py, one of whose tensors has a *value* put first."""
    def about(name, tensor, value):
        model, args = models.caught(name), models.inputs_of(name, 2)
        stored = model.module.state_dict()[tensor].view(-1)
        before = stored[0].clone()
        try:
            stored[0] = value
            with pytest.raises(BadInput) as caught:
                require_finite(model.program, args, model.program.run(args))
        finally:
            stored[0] = before
        return str(caught.value)
    return about


@pytest.mark.parametrize(("name", "layer"), [
    ("chain", "layers.1"), ("residual", "conv2"), ("attention", "k"), ("sdpa_mask", "proj"),
    ("masked", "proj"), ("mha_weights", "attn.out_proj"), ("language", "mlp"),
])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_bad_weight_is_named(complaint, name, layer, value):
    assert f"layer '{layer}'" in complaint(name, f"{layer}.weight", value)


def test_a_bad_bias_is_named(complaint):
    assert "layer 'layers.1'" in complaint("chain", "layers.1.bias", torch.nan)


@pytest.mark.parametrize("name", ["masked", "sdpa_mask", "sdpa_bool", "mha", "mha_weights"])
def test_a_mask_is_not_blamed_for_what_a_later_layer_does(complaint, name):
    assert "layer 'head'" in complaint(name, "head.weight", torch.nan)


def test_a_normalisation_is_named(complaint):
    assert "layer 'norm2'" in complaint("residual", "norm2.running_var", -1)


def test_an_activation_that_overflows_is_named(models):
    module = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3))
    module[1].weight.data *= 1e38
    x = torch.full((2, 6), 100.0)
    model = models.catch(module, (x,))
    assert bool(module[1].weight.isfinite().all())
    with pytest.raises(BadInput, match="layer '1'"):
        require_finite(model.program, (x,), model.program.run((x,)))


def test_bad_data_are_named(models):
    model = models.caught("chain")
    x = torch.randn(2, 6)
    x[1, 3] = torch.nan
    with pytest.raises(BadInput, match="the data has NaN values"):
        require_finite(model.program, (x,), model.program.run((x,)))


def test_finite_outputs_pass(models):
    for name in ("masked", "mha_weights", "language"):
        model, args = models.caught(name), models.inputs_of(name, 2)
        require_finite(model.program, args, model.program.run(args))
