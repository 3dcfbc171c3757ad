"""A scheme changes the operands it names, along the dimensions that the layer sums over."""

import pytest
import torch

from mpsearch.core.types import Scheme, StaticRange


def made(models, name, layer, scheme, ranges=None, **options):
    return models.caught(name).fake.changes(layer, scheme, ranges or {}, **options)




def test_only_operands_with_a_format_are_changed(models):
    fmt = models.int_format(4, "token")
    assert set(made(models, "chain", "layers.0", Scheme(weight=models.int_format(4)))) == {
        "weight"}
    assert set(made(models, "chain", "layers.0", Scheme(input=fmt, other=fmt))) == {"input"}
    assert set(made(models, "attention", "matmul_0", Scheme(weight=fmt, input=fmt, other=fmt))
               ) == {"input", "other"}
    assert set(made(models, "language", "tokens", Scheme(weight=fmt, input=fmt))) == {"weight"}
    assert made(models, "chain", "layers.0", Scheme()) == {}


def test_the_weight_can_be_left_out(models):
    scheme = Scheme(weight=models.int_format(4), input=models.int_format(4, "token"))
    assert set(made(models, "chain", "layers.0", scheme, with_weight=False)) == {"input"}


@pytest.mark.parametrize(("name", "layer", "operand", "shape", "dims"), [
    ("chain", "layers.0", "input", (3, 6), (1,)),
    ("attention", "q", "input", (2, 5, 8), (2,)),
    ("stored", "conv1d_weight", "input", (3, 12), (1,)),
    ("residual", "conv1", "input", (2, 4, 6, 6), (1, 2, 3)),  # a sample's output sums over all
    ("attention", "matmul_0", "input", (2, 2, 5, 4), (3,)),
    ("attention", "matmul_0", "other", (2, 2, 4, 5), (2,)),   # keys, turned
    ("attention", "matmul_1", "input", (2, 2, 5, 5), (3,)),
    ("attention", "matmul_1", "other", (2, 2, 5, 4), (2,)),   # values
    ("sdpa", "matmul_0", "input", (2, 2, 5, 4), (3,)),
    ("sdpa", "matmul_0", "other", (2, 2, 5, 4), (3,)),        # keys, as they are
    ("sdpa", "matmul_1", "other", (2, 2, 5, 4), (2,)),
])
def test_dynamic_scales_are_those_of_each_vector_summed_over(models, *, name, layer, operand,
                                                            shape, dims):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    scheme = Scheme(input=models.int_format(4, "token"), other=models.int_format(4, "token"))
    found = made(models, name, layer, scheme)[operand](x)
    # the smallest code, -8, may be used as well: either side of 0 may set the scale
    step = torch.maximum(x.amax(dims, keepdim=True) / 7, -x.amin(dims, keepdim=True) / 8)
    torch.testing.assert_close(found, (x / step).round().clamp(-8, 7) * step)


def test_static_ranges_are_used_as_given(models):
    fmt = models.int_format(4, "tensor", symmetric=False)
    ranges = {"input": StaticRange(scale=0.5, zero_point=3)}
    change = made(models, "chain", "layers.0", Scheme(input=fmt), ranges)["input"]
    x = torch.tensor([[-9.0, -1.5, -0.3, 0.0, 0.2, 99.0]])
    assert change(x).tolist() == [[-1.5, -1.5, -0.5, 0.0, 0.0, 6.0]]


def test_a_weight_is_the_stored_one_whatever_is_handed_in(models):
    model = models.caught("chain")
    change = made(models, "chain", "layers.0", Scheme(weight=models.int_format(4)))["weight"]
    assert torch.equal(change(torch.zeros(8, 6)),
                       model.fake.weights.fake("layers.0", models.int_format(4)))
