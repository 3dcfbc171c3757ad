"""The simulated backend computes what a model with quantized tensors computes."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.keys import chosen_ranges
from mpsearch.graph.fingerprint import fingerprint
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.uniform import Uniform


def rounded(x, fmt, axes=None):
    quantizer = Uniform()
    return fake_quantize(quantizer, x, quantizer.fit(x, [fmt], axes)[0], fmt, axes)


@pytest.fixture
def run(models):
    """A captured model under one scheme for all its layers, or a scheme a layer."""
    def quantized(name, schemes, ranges=None):
        model = models.caught(name)
        if isinstance(schemes, Scheme):
            schemes = dict.fromkeys((spec.name for spec in model.layers.specs), schemes)
        return Simulated()(model.program, model.fake, schemes, ranges or {})
    return quantized


@pytest.mark.parametrize("name", ["chain", "residual", "dense", "twice"])
def test_weights_alone_equal_the_model_with_replaced_weights(models, run, name):
    scheme = Scheme(weight=models.int_format(3))
    model, args = models.caught(name), models.inputs_of(name, 4)
    copy = models.quantized_copy(model.module, {spec.name: scheme for spec in model.layers.specs})
    found = run(name, scheme)(*args)
    assert torch.equal(found, copy(*args))
    assert not torch.equal(found, model.module(*args))


@pytest.mark.parametrize(("name", "turned"), [
    ("stored", {"first": (1, 0), "conv1d_weight": (1, 0), "experts": (0, 2, 1)}),
    ("autoencoder", {"basis": (1, 0)}),
    ("language", {}), ("language_function", {}), ("language_product", {}), ("branch", {}),
])
def test_weights_are_rounded_along_their_output_channels_in_every_use(models, run, name, turned):
    fmt = models.int_format(3)
    module, _ = models.build(name)
    quantized = {spec.weight for spec in models.caught(name).layers.specs}
    for parameter_name, parameter in module.named_parameters():
        if parameter_name in quantized:
            order = turned.get(parameter_name, tuple(range(parameter.dim())))
            view = parameter.data.permute(order)  # output channels before what is summed over
            rows = view.reshape(-1, view.shape[-1])
            view.copy_(rounded(rows, fmt).reshape(view.shape))
    args = models.inputs_of(name, 3)
    torch.testing.assert_close(run(name, Scheme(weight=fmt))(*args), module(*args))


@pytest.mark.parametrize("granularity", ["token", "tensor"])
@pytest.mark.parametrize("name", ["chain", "residual"])
def test_activations_are_rounded_on_the_way_in(models, run, name, granularity):
    fmt = models.int_format(4, granularity, symmetric=granularity == "token")
    (scheme,) = schemes = models.weights_and_inputs((4,), [fmt])
    model, args = models.caught(name), models.inputs_of(name, 4)
    study = models.study_of(model, schemes, [args])
    chosen = {spec.name: Scheme(weight=scheme.weight, input=fmt) for spec in model.layers.specs}
    ranges = {layer: chosen_ranges(study.ranges, layer, {"input": fmt}) for layer in chosen}
    copy = models.quantized_copy(model.module, chosen, ranges)
    torch.testing.assert_close(run(name, chosen, ranges)(*args), copy(*args))


def attention_by_hand(module, x, schemes):
    """The attention block with q, k, p and v rounded by their own formats."""
    n = module.norm(x)
    q, k, v = (layer(n).unflatten(-1, (-1, 4)).transpose(1, 2)
               for layer in (module.q, module.k, module.v))
    first, second = schemes["matmul_0"], schemes["matmul_1"]
    logits = rounded(q, first.input, (-1,)) @ rounded(k, first.other, (-1,)).transpose(-2, -1) / 2
    if module.kind in {"masked", "mask"}:
        logits = logits * (2 if module.kind == "masked" else 1) + module.mask
    chances = rounded(logits.softmax(-1), second.input, (-1,))
    y = (chances @ rounded(v, second.other, (-2,))).transpose(1, 2).flatten(2)
    return module.head((x + module.proj(y)).mean(1))


@pytest.mark.parametrize("name", ["attention", "masked", "sdpa", "sdpa_mask"])
def test_products_of_attention_have_formats_of_their_own(models, run, name):
    formats = [models.int_format(bits, "token", symmetric=bits < 5) for bits in (3, 4, 5, 6)]
    schemes = {"matmul_0": Scheme(input=formats[0], other=formats[1]),
               "matmul_1": Scheme(input=formats[2], other=formats[3])}
    model, args = models.caught(name), models.inputs_of(name, 3)
    found = run(name, schemes)(*args)
    torch.testing.assert_close(found, attention_by_hand(model.module, args[0], schemes))
    assert not torch.allclose(found, model.module(*args), rtol=1e-3)


def test_static_attention_uses_its_ranges(models, run):
    fmt = models.int_format(2, "tensor", symmetric=False)
    one = {"input": StaticRange(scale=1.0, zero_point=0), "other": StaticRange(scale=1.0,
                                                                              zero_point=2)}
    schemes = {"matmul_1": Scheme(input=fmt, other=fmt)}
    args = models.inputs_of("sdpa", 2)
    module = models.caught("sdpa").module
    n = module.norm(args[0])
    q, k, v = (layer(n).unflatten(-1, (-1, 4)).transpose(1, 2)
               for layer in (module.q, module.k, module.v))
    chances = (q @ k.transpose(-2, -1) / 2).softmax(-1).round().clamp(0, 3)
    y = (chances @ v.round().clamp(-2, 1)).transpose(1, 2).flatten(2)
    expected = module.head((args[0] + module.proj(y)).mean(1))
    torch.testing.assert_close(run("sdpa", schemes, {"matmul_1": one})(*args), expected)


def test_a_weight_only_scheme_leaves_a_matmul_alone(models, run):
    args = models.inputs_of("sdpa", 2)
    quantized = run("sdpa", {"matmul_0": Scheme(weight=models.int_format(2))})
    assert torch.equal(quantized(*args), models.caught("sdpa").program.run(args))


def test_layers_left_out_stay_in_float(models, run):
    scheme = Scheme(weight=models.int_format(2))
    module = run("chain", {"layers.1": scheme})
    assert set(module.quantized_weights()) == {"layers.1"}
    copy = models.quantized_copy(models.caught("chain").module, {"layers.1": scheme})
    args = models.inputs_of("chain", 2)
    assert torch.equal(module(*args), copy(*args))


@pytest.mark.parametrize("name", ["residual", "stored", "language"])
def test_the_original_is_untouched(models, run, name):
    model = models.caught(name)
    before, args = fingerprint(model.module), models.inputs_of(name, 2)
    output = model.program.run(args)
    module = run(name, Scheme(weight=models.int_format(2), input=models.int_format(4, "token")))
    module(*args)
    assert fingerprint(model.module) == before
    assert torch.equal(model.program.run(args), output)


@pytest.mark.parametrize("name", ["windows", "tokens_first"])
def test_any_number_of_samples_runs(models, run, name):
    module = run(name, Scheme(weight=models.int_format(4), input=models.int_format(8, "token"),
                              other=models.int_format(8, "token")))
    args = models.inputs_of(name, 5)
    whole = module(*args)
    for n in (1, 2, 4):
        torch.testing.assert_close(module(*(arg[:n] for arg in args)), whole[:n])


def test_quantized_weights_are_given_as_the_model_stores_them(models, run):
    weights = run("stored", Scheme(weight=models.int_format(2))).quantized_weights()
    module = models.caught("stored").module
    assert weights["first"].shape == module.first.shape
    assert len(weights["conv1d_weight"][:, 0].unique()) <= 4  # a column is an output channel
    assert set(weights) == {"first", "qkv", "conv1d_weight", "experts", "gate", "head"}


def test_quantized_weights_are_state(models, run):
    module = run("chain", Scheme(weight=models.int_format(2)))
    assert [tensor.shape for tensor in module.state_dict().values()] == [(8, 6), (8, 8), (3, 8)]


def test_an_unknown_layer_is_refused(models, run):
    with pytest.raises(BadInput, match="no layer 'other'"):
        run("chain", {"other": Scheme(weight=models.int_format(4))})


def test_the_reference_by_hand_is_the_model_where_nothing_is_rounded(models):
    fine = models.int_format(16, "token")
    schemes = dict.fromkeys(("matmul_0", "matmul_1"), Scheme(input=fine, other=fine))
    for name in ("attention", "masked", "sdpa", "sdpa_mask"):
        module, (x,) = models.caught(name).module, models.inputs_of(name, 2)
        torch.testing.assert_close(attention_by_hand(module, x, schemes), module(x),
                                   rtol=1e-3, atol=1e-3)
        assert F.mse_loss(module(x), module(x + 1)) > 1e-6
