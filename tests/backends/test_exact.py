"""Fake quantization with exact sums: the simulated numbers, but for how sums are rounded."""

import pytest
import torch
from torch import nn

from mpsearch import plugins
from mpsearch.backends.exact.products import linear
from mpsearch.backends.exact.steps import Steps
from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import IntFormat, registry
from mpsearch.core.types import Scheme

TOKENS = IntFormat(bits=8, granularity="token")


@pytest.fixture
def modules(models):
    """The simulated module and the exact one for a model of networks.py under *scheme*."""
    def make(name, scheme):
        model = models.caught(name)
        schemes, ranges = models.decided(model, scheme, models.inputs_of(name, 3))
        return [backend(model.program, model.fake, schemes, ranges) for backend in (
            Simulated(), plugins.make("backend", "simulated(exact=true)"))]
    return make


@pytest.mark.parametrize("weight", [IntFormat(bits=4), IntFormat(bits=3, granularity="group:32"),
                                    IntFormat(bits=8, symmetric=False)], ids=str)
@pytest.mark.parametrize("name", ["residual", "sdpa", "stored"])
def test_exact_sums_are_those_of_floats_but_for_rounding(models, modules, name, weight):
    args = models.inputs_of(name, 4)
    simulated, exact = modules(name, Scheme(weight=weight, input=TOKENS, other=TOKENS))
    wanted, found = simulated(*args), exact(*args)
    assert float((found - wanted).abs().max()) <= 0.1 * float(wanted.abs().max())
    assert float(((found - wanted).abs() <= 1e-5 * wanted.abs().max()).float().mean()) > 0.9
    assert not torch.equal(found, wanted)


@pytest.mark.parametrize("kind", ["lloyd", "trellis"])
def test_what_is_no_integer_is_simulated_as_before(models, modules, kind):
    cls = registry.format_class(kind)
    weight = cls(**{**cls.usual("weight", {}), "bits": 4})
    args = models.inputs_of("sdpa", 3)
    simulated, exact = modules("sdpa", Scheme(weight=weight))
    assert torch.equal(simulated(*args), exact(*args))


def test_sums_are_rounded_once_whatever_their_order():
    x = torch.tensor([[2.0**12, 1, -(2.0**12)]] * 2, dtype=torch.float64)
    weight = torch.tensor([[2.0**13], [1], [2.0**13]], dtype=torch.float64)
    one, few = Steps(x, torch.ones(2, 1)), Steps(weight, torch.ones(3, 1))
    assert linear(one, few, 3, bits=8).tolist() == [[1.0], [1.0]]
    halves = Steps(weight, torch.tensor([[1.0], [1.0], [0.5]]))
    assert linear(one, halves, 2, bits=8).tolist() == [[2.0**24]] * 2  # 2**25 + 1 is rounded


class Turned(nn.Module):
    """A layer that reads its stored weight with its inputs in another order."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4, 6))

    def forward(self, x):
        return x @ self.weight.permute(0, 2, 1).reshape(8, 24).t()


def test_scales_whose_numbers_lie_apart_in_the_product_are_refused(models):
    model = models.catch(Turned(), (torch.randn(3, 24),))
    scheme = Scheme(weight=IntFormat(bits=3, granularity="group:8"), input=TOKENS)
    schemes = {spec.name: scheme for spec in model.layers.specs}
    with pytest.raises(Unsupported, match=r"layer 'weight'.*one scale a channel"):
        Simulated(exact=True)(model.program, model.fake, schemes, {})
