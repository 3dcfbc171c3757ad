"""Layers: what they are called, what they are, and what they cost."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mpsearch.core.errors import BadInput

COUNTED = ("chain", "residual", "dense", "attention", "sdpa", "sdpa_causal", "sdpa_gqa", "mha",
           "mha_weights", "tokens_first", "windows", "language", "language_function", "twice",
           "maps")


def shapes(spec):
    return spec.kind, spec.weight_shape, spec.input_shape, spec.other_shape, spec.output_shape


@pytest.mark.parametrize("name", COUNTED)
def test_macs_are_half_the_operations_that_torch_counts(models, name):
    model = models.caught(name)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, sdpa_kernel(SDPBackend.MATH):
        model.module(*models.inputs_of(name, 1))
    assert counter.get_total_flops() > 0
    assert 2 * sum(spec.macs for spec in model.layers.specs) == counter.get_total_flops()


def test_convolutions_and_linear_layers(models):
    specs = {spec.name: shapes(spec) for spec in models.caught("residual").layers.specs}
    assert list(specs) == ["stem", "conv1", "conv2", "conv3", "down", "head"]
    assert specs["conv1"] == ("conv", (4, 2, 3, 3), (1, 4, 6, 6), None, (1, 4, 6, 6))
    assert specs["down"] == ("conv", (8, 4, 1, 1), (1, 4, 6, 6), None, (1, 8, 3, 3))
    assert specs["head"] == ("linear", (3, 8), (1, 8), None, (1, 3))


def test_a_product_of_activations_is_a_matmul_of_its_module(models):
    model = models.caught("attention")
    assert shapes(model.spec("matmul_0")) == (
        "matmul", None, (1, 2, 5, 4), (1, 2, 4, 5), (1, 2, 5, 5))
    assert shapes(model.spec("matmul_1")) == (
        "matmul", None, (1, 2, 5, 5), (1, 2, 5, 4), (1, 2, 5, 4))
    assert model.spec("matmul_0").weight is None


def test_fused_attention_holds_two_matmuls(models):
    model = models.caught("sdpa_gqa")
    assert shapes(model.spec("matmul_0")) == (
        "matmul", None, (1, 4, 5, 4), (1, 2, 5, 4), (1, 4, 5, 5))
    assert shapes(model.spec("matmul_1")) == (
        "matmul", None, (1, 4, 5, 5), (1, 2, 5, 4), (1, 4, 5, 4))


def test_samples_count_as_one_wherever_they_lie(models):
    model = models.caught("tokens_first")
    assert model.spec("encoder.layers.0.linear1").input_shape == (5, 1, 8)
    assert model.spec("encoder.layers.0.self_attn.out_proj").input_shape == (5, 8)
    assert models.caught("windows").spec("inside").input_shape == (2, 4)


def test_what_all_samples_share_counts_whole(models):
    assert models.caught("language").spec("places").output_shape == (4, 8)


def test_names_follow_the_owner_of_the_parameter(models):
    names = [spec.name for spec in models.caught("mha").layers.specs]
    assert names == ["attn.in_proj_weight", "attn.matmul_0", "attn.matmul_1", "attn.out_proj",
                     "head"]


def test_weights_have_their_output_channels_first_however_they_are_stored(models):
    specs = {spec.name: (spec.weight, spec.weight_shape)
             for spec in models.caught("stored").layers.specs}
    assert specs == {
        "first": ("first", (8, 6)), "qkv": ("qkv", (12, 8)),
        "conv1d_weight": ("conv1d_weight", (4, 12)), "experts": ("experts", (15, 4)),
        "gate": ("gate", (1, 5)), "head": ("head.weight", (3, 5))}


def test_macs_of_stored_weights_are_counted_by_hand(models):
    macs = {spec.name: spec.macs for spec in models.caught("stored").layers.specs}
    assert macs == {"first": 48, "qkv": 96, "conv1d_weight": 48, "experts": 60, "gate": 5,
                    "head": 15}


def test_a_layer_that_runs_twice_is_one_layer_with_two_calls(models):
    model = models.caught("twice")
    assert model.spec("again").macs == 2 * 36
    assert sum("again" in site.layers for site in model.layers.sites) == 2


@pytest.mark.parametrize(("name", "head"), [
    ("language", "head"), ("language_function", "tokens.linear"),
    ("language_product", "tokens.linear"),
])
def test_tied_weights_share_a_parameter_group(models, name, head):
    model = models.caught(name)
    kinds = {spec.name: (spec.kind, spec.parameter_group) for spec in model.layers.specs}
    assert kinds["tokens"] == ("embedding", "tokens.weight")
    assert kinds[head] == ("linear", "tokens.weight")
    assert kinds["mlp"] == ("linear", "mlp.weight")
    assert model.spec(head).weight_shape == (11, 8)


def test_what_is_not_offered_is_named(models):
    left = models.caught("left").layers.left_in_float
    assert [entry.rpartition("(")[2] for entry in left] == [
        "aten.conv1d.default)", "aten.conv_transpose1d.default)", "aten.einsum.default)", "cond)"]
    assert left[1].startswith("up ")
    assert [spec.name for spec in models.caught("left").layers.specs] == ["head"]


def test_nothing_else_is_named(models):
    assert [name for name in ("residual", "attention", "stored", "branch")
            if models.caught(name).layers.left_in_float] == []


def test_float_bits_are_those_of_the_parameter(models):
    model = models.catch(torch.nn.Linear(6, 3).bfloat16(), (torch.randn(2, 6).bfloat16(),))
    assert [spec.float_bits for spec in model.layers.specs] == [16]


def test_an_unknown_layer_is_refused(models):
    with pytest.raises(BadInput, match="no layer 'nothing'"):
        models.caught("chain").layers.call("nothing")
