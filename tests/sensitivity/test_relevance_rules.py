"""Every rule of relevance against its formula, on single operations."""


import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mpsearch.sensitivity.relevance.rules import Rules

EPSILON = Rules(epsilon=1e-12)
ALPHA_BETA = {alpha: Rules(linear="alpha_beta", alpha=alpha) for alpha in (1.0, 2.0)}
PLAIN = Rules(epsilon=1e-12, first="same")

@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)


def test_without_biases_epsilon_is_gradient_times_input(sweeping):
    args = (torch.randn(4, 6).double(),)
    linear = nn.Sequential(*(nn.Linear(6, 6, bias=False) for _ in range(2)), nn.ReLU(),
                           nn.Linear(6, 3, bias=False))
    found = sweeping.swept(linear, args, EPSILON)
    x = args[0].clone().requires_grad_()
    with torch.enable_grad():
        top = linear(x).amax(1)
        (slope,) = torch.autograd.grad((top / top.detach()).sum(), x)
    torch.testing.assert_close(found.input, slope * args[0])


def test_epsilon_takes_from_small_outputs(sweeping):
    layer = nn.Linear(6, 3, bias=False)
    x = torch.randn(4, 6)
    found = sweeping.swept(layer, (x,), Rules(epsilon=0.5))
    w, x = layer.weight.detach(), x.double()
    z = x @ w.T
    share = found.start / (z + 0.5 * z.sign() * z.square().mean().sqrt())
    torch.testing.assert_close(found.input, x * (share @ w))


@pytest.mark.parametrize("alpha", [1.0, 2.0, 1.5])
def test_alpha_beta_is_the_formula(sweeping, alpha):
    layer, x = nn.Linear(24, 3), torch.randn(4, 24)
    seed = torch.rand(4, 3).double()
    found = sweeping.swept(layer, (x,), Rules(linear="alpha_beta", alpha=alpha), seed=seed)
    w, x = layer.weight.detach(), x.double()

    def part(first, second):
        s = seed / (x.clamp(min=0) @ first.T + x.clamp(max=0) @ second.T)
        return x.clamp(min=0) * (s @ first) + x.clamp(max=0) * (s @ second)

    up, down = w.clamp(min=0), w.clamp(max=0)
    torch.testing.assert_close(found.input, alpha * part(up, down) - (alpha - 1) * part(down, up))


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_alpha_beta_gives_all_to_the_only_part_there_is(sweeping, alpha):
    layer = nn.Linear(3, 2)
    layer.weight.data = torch.tensor([[1.0, 2, 3], [-1, -1, -2]])
    seed = torch.tensor([[1.0, 0], [0, 1.0]]).double()
    found = sweeping.swept(layer, (torch.ones(2, 3),), Rules(linear="alpha_beta", alpha=alpha),
                  seed=seed)
    expected = torch.tensor([[1 / 6, 2 / 6, 3 / 6], [0.25, 0.25, 0.5]]).double()
    torch.testing.assert_close(found.input, expected)


class Box(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).flatten(1)


def test_the_first_convolution_gets_the_box_rule(sweeping):
    module, args = Box(), (torch.randn(3, 2, 5, 5),)
    seed = torch.rand(3, 100).double()
    found = sweeping.swept(module, args, EPSILON, seed=seed)
    x, w = args[0].double(), module.conv.weight.detach()
    low = x.amin((1, 2, 3), keepdim=True).expand_as(x)
    high = x.amax((1, 2, 3), keepdim=True).expand_as(x)
    up, down = w.clamp(min=0), w.clamp(max=0)
    z = F.conv2d(x, w, padding=1) - F.conv2d(low, up, padding=1) - F.conv2d(high, down, padding=1)
    s = seed.view_as(z) / z
    back = [part * F.conv_transpose2d(s, weight, padding=1)
            for part, weight in ((x, w), (low, up), (high, down))]
    torch.testing.assert_close(found.input, back[0] - back[1] - back[2])


def test_the_box_rule_can_be_turned_off(sweeping):
    module, args = Box(), (torch.randn(3, 2, 5, 5),)
    found = sweeping.swept(module, args, PLAIN)
    x = args[0].double().requires_grad_()
    with torch.enable_grad():
        top = module(x).amax(1)
        (slope,) = torch.autograd.grad((top / top.detach()).sum(), x)
    torch.testing.assert_close(found.input, slope * x.detach())


class Moves(nn.Module):
    """What a Swin Transformer does to its tokens: roll, cut into windows, merge patches."""

    def forward(self, x):
        x = torch.roll(x, (1, -1), (1, 2)).permute(0, 3, 1, 2).flip(-1)
        x = F.pad(x, (0, 2, 2, 0)).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)
        a, b = x.chunk(2, -1)
        first, *rest = torch.cat([b, a], -1).unbind(1)
        return torch.stack([*rest, first], 1).flatten(1)


def test_moves_permute_relevance(sweeping):
    module, x = Moves(), torch.randn(2, 4, 4, 3).relu()  # zeros get theirs, too
    places = torch.arange(1, x.numel() + 1.0).view_as(x)
    seed = module(torch.rand_like(places)).clone().uniform_(0.1, 1)
    found = sweeping.swept(module, (x,), EPSILON, seed=seed.double())
    expected = torch.zeros(x.numel() + 1).scatter(0, module(places).flatten().long(),
                                                  seed.flatten())[1:]
    torch.testing.assert_close(found.input.float(), expected.view_as(x))


class Two(nn.Module):
    """Two branches that meet: one rescaled input, one shuffled."""

    def __init__(self, sign=1):
        super().__init__()
        self.sign = sign

    def forward(self, x):
        return x * 3 + x.flip(-1) if self.sign > 0 else x * 3 - x.flip(-1)


@pytest.mark.parametrize("sign", [1, -1])
def test_branches_share_by_their_sums(sweeping, sign):
    x = torch.tensor([[2.0, -3.0, 5.0], [1.0, 1.5, -4.0]])
    seed = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 1.0]]).double()
    found = sweeping.swept(Two(sign), (x,), EPSILON, seed=seed)
    one, other = 3 * x.double(), sign * x.double().flip(-1)
    a, b = one * seed / (one + other), other * seed / (one + other)
    expected = torch.zeros(2, 3).double()
    for n in range(2):
        total, size = seed[n].sum(), a[n].sum().abs() + b[n].sum().abs()
        expected[n] += a[n] * (total * a[n].sum().abs() / size / a[n].sum())
        expected[n] += (b[n] * (total * b[n].sum().abs() / size / b[n].sum())).flip(-1)
    torch.testing.assert_close(found.input, expected)


class Gate(nn.Module):
    def forward(self, x):
        return x * x.sum(1, keepdim=True).sigmoid() + torch.ones(3)


def test_a_gate_gets_half_and_a_constant_nothing(sweeping):
    x = torch.tensor([[2.0, -3.0, 5.0], [1.0, 1.5, -4.0]])
    seed = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 1.0]]).double()
    found = sweeping.swept(Gate(), (x,), EPSILON, seed=seed)
    x = x.double()
    expected = seed / 2 + x / x.sum(1, keepdim=True) * seed.sum(1, keepdim=True) / 2
    torch.testing.assert_close(found.input, expected)
