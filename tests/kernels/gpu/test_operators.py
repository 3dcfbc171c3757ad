"""The operators of the package through Triton, and the backend on top of them."""

import pytest
import torch

from mpsearch.backends.integer.backend import Integer
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.kernels import Activation, PackedFilters, conv2d, linear, ops, quantize
from mpsearch.kernels.library import using
from tests.kernels.cases import case

SCHEMES = [
    Scheme(weight=IntFormat(bits=3, granularity="group:32"),
           input=IntFormat(bits=8, granularity="token"),
           other=IntFormat(bits=8, granularity="token")),
    Scheme(weight=IntFormat(bits=6, symmetric=False),
           input=IntFormat(bits=8, granularity="tensor", symmetric=False),
           other=IntFormat(bits=8, granularity="tensor", symmetric=False)),
]


def test_every_operator_has_an_implementation_for_gpus():
    for _, _, shape in ops._OPERATORS:
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"mpsearch::{shape.__name__}", "CUDA")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("scheme", SCHEMES, ids=["groups and tokens", "calibrated"])
def test_a_model_in_triton_gives_the_bits_of_the_cpus_kernels(models, request, scheme):
    model = models.caught("attention")
    schemes, ranges = models.decided(model, scheme, models.inputs_of("attention", 3))
    module = Integer()(model.program, model.fake, schemes, ranges)
    args = models.inputs_of("attention", 1)
    with using(None):
        wanted = module(*args)
    called = request.getfixturevalue("in_triton")
    assert torch.equal(module(*args), wanted)
    assert called


def test_activations_of_16_bits_go_as_two_products(in_triton):
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(1))
    made = case(5, (3, 9, 40), seed=2)
    a = quantize(x, -32768, 32767)
    wanted = a.codes.double() @ made.weight_steps.double().T
    wanted = (wanted * made.weight.scales()[:, 0] * a.scale.view(-1, 1)).float()
    torch.testing.assert_close(linear(a, made.weight), wanted, rtol=1e-6, atol=0)
    assert in_triton == ["linear_sums", "linear_sums"]


def test_a_convolution_pads_with_its_zero_point(in_triton):
    draw = torch.Generator().manual_seed(3)
    codes = torch.randint(-128, 128, (2, 4, 6, 5), generator=draw).to(torch.int8)
    filters = torch.randint(0, 16, (6, 4, 3, 3), generator=draw)
    a = Activation(codes, torch.tensor([0.5]), torch.tensor([3], dtype=torch.int32))
    packed = PackedFilters.of(filters, torch.ones(6), bits=4, first=0)
    made = conv2d(a, packed, padding=(1, 1), stride=(2, 1))
    wanted = torch.nn.functional.conv2d((codes.float() - 3) * 0.5, filters.float(), padding=(1, 1),
                                        stride=(2, 1))
    assert torch.equal(made, wanted)
    assert in_triton == ["linear"]
