"""Whole networks in integers: grids that hold, any batch, and what the simulated backend says."""

from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mpsearch import metrics
from mpsearch.zoo import digits


class Mixer(nn.Module):
    """Attention in the open, a class token, stored factors, and a residual."""

    def __init__(self, *, fused=False):
        super().__init__()
        self.enter, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.token, self.place = (nn.Parameter(torch.randn(1, size, 8)) for size in (1, 6))
        self.gamma = nn.Parameter(torch.randn(8))
        self.norm, self.last = nn.LayerNorm(8), nn.LayerNorm(8, elementwise_affine=False)
        self.fused = fused

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), self.enter(x)], 1) + self.place
        n = self.norm(x)
        q, k, v = (layer(n) for layer in (self.q, self.k, self.v))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, scale=0.5)
        else:
            y = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        x = self.last(x + F.dropout(y * self.gamma, 0.1, self.training))
        return self.head(x.flip(1).roll(1, 1).mean(1) / 2)


class Images(nn.Module):
    """Convolutions of all kinds with batch norms."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=(1, 2), bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.b = nn.Conv2d(8, 12, (3, 1), groups=4, padding="same", dilation=(2, 1))
        self.c = nn.Conv1d(12, 4, 2, padding="valid")
        self.pool, self.head = nn.AdaptiveAvgPool1d(1), nn.Linear(4, 3)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        nn.init.normal_(self.norm.weight)

    def forward(self, x):
        x = F.relu(self.norm(self.a(x)))
        x = self.c(self.b(x).flatten(2))
        return self.head(self.pool(F.relu(x)).squeeze(-1))


class Words(nn.Module):
    """Tables of tokens and places, and weights that are stored with their inputs first."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, 8), nn.Embedding(4, 8)
        self.turned, self.bias = nn.Parameter(torch.randn(8, 6)), nn.Parameter(torch.randn(6))
        self.head = nn.Parameter(torch.randn(6, 3))

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(4, device=ids.device))
        x = torch.addmm(self.bias, (x + F.gelu(x)).flatten(0, 1), self.turned)
        return F.relu(x).unflatten(0, (-1, 4)) @ self.head


@cache
def mixer():
    return Mixer(), (torch.randn(5, 5, 6),)


@cache
def mixer_fused():
    return Mixer(fused=True), mixer()[1]


@cache
def images():
    return Images(), (torch.randn(6, 3, 7, 6),)


@cache
def words():
    return Words(), (torch.randint(0, 11, (6, 4)),)


@cache
def embedded():
    return digits.model(), (digits.portion("test")[0][:64],)


NETWORKS = [mixer, mixer_fused, images, words, embedded]


@pytest.fixture(params=NETWORKS, ids=[each.__name__ for each in NETWORKS])
def network(request):
    torch.manual_seed(0)
    return request.param()


def worst(grid, shape):
    """Integers at the ends of a grid, and in the middle."""
    torch.manual_seed(1)
    ends = torch.tensor([grid.low, grid.high, 0])
    return ends[torch.randint(0, 3, shape)].to(grid.dtype)


def test_every_value_stays_on_its_grid_whatever_comes_in(integers, network):
    module, args = network
    whole = integers(module, args).whole
    names = iter(args)
    codes = {name: next(names) if grid is None else worst(grid, args[0].shape)
             for name, grid in whole.compiled.inputs.items()}
    seen = []

    def watch(step, value):
        for each in value if isinstance(value, tuple | list) else (value,):
            if step.grid is not None:
                assert each.dtype == step.grid.dtype, step.name
                assert step.grid.low <= int(each.min()), step.name
                assert int(each.max()) <= step.grid.high, step.name
                seen.append(step.name)

    whole.compiled.steps.run(codes, watch)
    assert len(seen) > 5


@pytest.mark.parametrize(("bits", "most"), [(8, 0.06), (12, 0.025)])
def test_it_computes_nearly_what_the_float_network_does(integers, network, bits, most):
    module, args = network
    made = integers(module, args, weight=bits, activation=bits)
    exact = module(*args)
    error = (made.whole(*args) - exact).abs().max() / exact.abs().max()
    assert 0 < float(error) < most


def test_the_embedded_network_loses_about_what_simulation_says(integers):
    images, labels = digits.portion("test")
    module, args = embedded()
    made = integers(module, args)
    exact, whole, simulated = (run(images[64:320]) for run in (module, made.whole, made.simulated))
    kl, simulated_kl = (float(metrics.kl(exact, each).mean()) for each in (whole, simulated))
    assert kl < 2 * simulated_kl + 1e-4
    right = (whole.argmax(1) == labels[64:320]).double().mean()
    assert float(right) > 0.97


def test_any_number_of_samples_gives_each_the_same_integers(integers, network):
    module, args = network
    whole = integers(module, args).whole
    both = whole(*args)
    assert torch.equal(both[2:3], whole(*(arg[2:3] for arg in args)))
    assert torch.equal(both, whole(*args))


def test_few_bits_between_layers_lose_more(integers):
    module, args = embedded()
    exact = module(*args)
    full, few = (float(metrics.kl(exact, integers(module, args, bits=bits).whole(*args)).mean())
                 for bits in (32, 8))
    assert full < 2e-3
    assert few > 4 * full


def test_attention_is_the_same_fused_or_not(integers):
    (module, args), fused = mixer(), Mixer(fused=True)
    fused.load_state_dict(module.state_dict())
    whole, other = (integers(each, args).whole(*args) for each in (module, fused))
    torch.testing.assert_close(whole, other, atol=0.005, rtol=0.005)
