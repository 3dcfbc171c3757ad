"""What the integer backend runs together, and that bits do not change where it cannot."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mpsearch.backends.integer.backend import Integer
from mpsearch.backends.integer.followed import Followed, NormCodes
from mpsearch.backends.simulated import Simulated
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme
from mpsearch.graph.laps import laps
from mpsearch.kernels.library import kernels, using

STATIC = IntFormat(bits=8, granularity="tensor", symmetric=False)
TOKEN = IntFormat(bits=8, granularity="token")


class Block(nn.Module):
    """A transformer's block whose queries, keys and values are layers of their own."""

    def __init__(self, norm=True):
        super().__init__()
        self.norm = nn.LayerNorm(16) if norm else nn.Identity()
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(16, 40), nn.Linear(40, 16)

    def forward(self, x):
        y = self.norm(x)
        q, k, v = (layer(y).unflatten(-1, (2, 8)).transpose(1, 2)
                   for layer in (self.q, self.k, self.v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.fc2(functional.gelu(self.fc1(x)))


def run(models, module, activation, x, **others):
    torch.manual_seed(1)
    model = models.catch(module, (x,))
    scheme = Scheme(weight=IntFormat(bits=4), input=activation, other=activation)
    schemes, ranges = models.decided(model, scheme, (x,))
    schemes |= others
    return [backend(model.program, model.fake, schemes, ranges)
            for backend in (Integer(), Simulated(exact=True))]


@pytest.mark.parametrize("activation", [STATIC, TOKEN], ids=str)
@pytest.mark.parametrize("norm", [True, False])
def test_a_block_runs_together_with_the_bits_of_the_simulation(models, activation, norm):
    torch.manual_seed(0)
    x = torch.randn(3, 9, 16)
    integer, exact = run(models, Block(norm), activation, x)
    wanted = exact(x)
    assert torch.equal(integer(x), wanted)
    for own in (kernels().at("portable") if kernels() else None, None):
        with using(own):
            assert torch.equal(integer(x), wanted)
    sites = integer._program.sites.values()
    assert sum(isinstance(site.runs[0], Followed) for site in sites) == 3  # out, fc1, fc2
    assert sum(site.whole is not None for site in sites) == 1
    coded = [each for each in integer._program.instead.values() if isinstance(each, NormCodes)]
    assert len(coded) == norm


def test_numbers_that_several_layers_read_are_coded_once(models, monkeypatch):
    from mpsearch.kernels import coding

    torch.manual_seed(0)
    x = torch.randn(2, 5, 16)
    integer, exact = run(models, Block(norm=False), STATIC, x)
    calls, plain = [], coding.quantize
    monkeypatch.setattr(coding, "quantize",
                        lambda *args, **named: calls.append(1) or plain(*args, **named))
    assert torch.equal(integer(x), exact(x))
    assert len(calls) == 1  # by q, k and v; what fc1 reads it codes alone


@pytest.mark.parametrize("apart", ["fc2", "out", "q"])
def test_layers_in_float_break_what_runs_together(models, apart):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 16)
    integer, exact = run(models, Block(), STATIC, x, **{apart: Scheme()})
    assert torch.equal(integer(x), exact(x))


def test_models_of_other_types_run_apart(models):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    integer, _ = run(models, Block().double(), TOKEN, x)
    assert integer(x).dtype == torch.float64
    assert not any(isinstance(site.runs[0], Followed) for site in integer._program.sites.values())


def test_attention_in_one_call_tells_of_its_three_parts(models):
    torch.manual_seed(0)
    x = torch.randn(2, 50, 16)
    integer, _ = run(models, Block(), STATIC, x)
    integer(x)
    with laps() as done:
        integer(x)
    parts = [taken for name, taken in done if name.startswith("(")]
    assert len(parts) == 2
    assert all(taken > 0 for taken in parts)
    assert all(taken >= 0 for _, taken in done)
