"""On a real GPU: the same bits as on the CPU, at every width, through the public functions."""

import pytest
import torch

from mpsearch.backends.integer.backend import Integer
from mpsearch.core.errors import BadInput
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.kernels import (
    Activation,
    PackedFilters,
    PackedWeight,
    conv2d,
    linear,
    linear_sums,
    matmul,
    quantize,
)
from tests.kernels.cases import case

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
GPU = "cuda"


def there(a):
    return Activation(*(each.to(GPU) for each in a))


@pytest.mark.parametrize("group", [None, 24, 64, 128])
@pytest.mark.parametrize("bits", range(2, 9))
def test_layers_of_every_width(bits, group):
    for rows in (1, 5, 16, 17, 197):
        made = case(bits, (rows, 200, 777), group=group, seed=bits, rows_differ=rows != 5)
        weight = made.weight.to(GPU)
        found = linear(there(made.a), weight, made.bias.to(GPU))
        assert torch.equal(found.cpu(), linear(made.a, made.weight, made.bias))
        if group is None:
            sums = linear_sums(there(made.a), weight)
            assert torch.equal(sums.cpu().long(), made.steps @ made.weight_steps.T)


@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_at_their_limits(bits):
    made = case(bits, (70, 130, 4096), seed=bits, extreme=True)
    sums = linear_sums(there(made.a), made.weight.to(GPU))
    assert torch.equal(sums.cpu().long(), made.steps @ made.weight_steps.T)


def test_weights_packed_from_codes_on_the_gpu():
    codes = torch.randint(0, 8, (70, 100), dtype=torch.int32)
    own = PackedWeight.of(codes, torch.ones(1), bits=3, first=0)
    made = PackedWeight.of(codes.to(GPU), torch.ones(1, device=GPU), bits=3, first=0)
    assert made.stream.is_cuda
    assert torch.equal(made.steps().cpu(), own.steps())
    assert torch.equal(made.to("cpu").stream, own.stream)


@pytest.mark.parametrize("ends", [(-2, 1), (-127, 127), (0, 255), (-32768, 32767), (0, 65535)])
def test_codes_of_activations(ends):
    x = torch.randn(197, 1333) * torch.exp2(torch.randn(197, 1) * 6)
    for options in ({"symmetric": ends[0] != 0}, {"symmetric": False},
                    {"scale": torch.tensor([0.03]), "zero": (ends[0] + ends[1]) // 2}):
        one, two = quantize(x, *ends, **options), quantize(x.to(GPU), *ends, **options)
        for a, b in zip(one, two, strict=True):
            assert torch.equal(a, b.cpu())
    x[3, 1000] = torch.nan
    with pytest.raises(BadInput, match="the input of fc1"):
        quantize(x.to(GPU), *ends, where="the input of fc1")


def test_products_and_convolutions():
    a = quantize(torch.randn(2, 3, 197, 64), -127, 127)
    b = quantize(torch.randn(2, 3, 50, 64), 0, 255, symmetric=False)
    assert torch.equal(matmul(there(a), there(b)).cpu(), matmul(a, b))
    images = quantize(torch.randn(2, 8, 13, 11), -127, 127, scale=torch.tensor([0.03]))
    for groups in (1, 2, 8):
        codes = torch.randint(0, 16, (16 if groups < 8 else 8, 8 // groups, 3, 3))
        scale = torch.rand(len(codes))
        one = PackedFilters.of(codes, scale, bits=4, first=0, groups=groups)
        two = PackedFilters.of(codes.to(GPU), scale.to(GPU), bits=4, first=0, groups=groups)
        found = conv2d(there(images), two, padding=(1, 1), stride=(2, 1))
        assert torch.equal(found.cpu(), conv2d(images, one, padding=(1, 1), stride=(2, 1)))


def test_a_layer_on_the_gpu_compiles_without_a_break():
    made = case(3, (5, 70, 24), seed=2)
    weight, bias = made.weight.to(GPU), made.bias.to(GPU)

    def layer(x):
        return linear(quantize(x, -128, 127), weight, bias)

    x = torch.randn(5, 24, device=GPU)
    assert torch.equal(torch.compile(layer, backend="eager", fullgraph=True)(x), layer(x))


@pytest.mark.parametrize("name", ["residual", "attention", "sdpa"])
def test_a_model_whose_user_put_it_on_the_gpu(models, name):
    act = IntFormat(bits=8, granularity="token")
    scheme = Scheme(weight=IntFormat(bits=4), input=act, other=act)
    module, inputs = models.build(name)
    model = models.catch(module.to(GPU), tuple(arg.to(GPU) for arg in inputs(3)))
    schemes, ranges = models.decided(model, scheme, models.inputs_of(name, 3))
    module = Integer()(model.program, model.fake, schemes, ranges)
    out = module(*models.inputs_of(name, 4))
    assert out.is_cuda
    assert out.isfinite().all()
