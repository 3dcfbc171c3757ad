"""Relevance is conserved, agrees with closed forms, and gets through any graph."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils._pytree import tree_leaves

from mpsearch.core.errors import BadInput
from mpsearch.graph.execute import Program, measure_shapes
from mpsearch.graph.layers import find_layers
from mpsearch.graph.record import record
from mpsearch.graph.tidy import tidy
from mpsearch.graph.trace import Traced, digraph, first_tensor
from mpsearch.sensitivity.relevance.propagate import propagate, start
from mpsearch.sensitivity.relevance.rules import Rules

EPSILON = Rules(epsilon=1e-12)
ALPHA_BETA = {alpha: Rules(linear="alpha_beta", alpha=alpha) for alpha in (1.0, 2.0)}
PLAIN = Rules(epsilon=1e-12, first="same")


class Swept:
    """One sweep over a captured model: relevance of its inputs and sites, and of the output."""

    def __init__(self, caught, args, rules, *, cuts=(), seed=None):
        self.program, self.sites, self.visited = caught.program, {}, []
        self.values = all_values(self.program, args)
        leaves = tree_leaves(self.program.nodes[-1].args[0])
        output = first_tensor([self.values[leaf] for leaf in leaves])
        place = next(leaf for leaf in leaves if self.values[leaf] is output)
        self.start = start(output) if seed is None else seed
        self.left = {place: self.start}
        edges = [0, *cuts, len(self.program.nodes)]
        for first, last in reversed(list(pairwise(edges))):
            here = set(self.program.nodes[first:last])
            read = here.union(*(node.all_input_nodes for node in here))
            values = {node: self.values[node] for node in read if node in self.values}
            propagate(self.program, first, last, values, self.left, rules, self.visit)

    def visit(self, site, relevance):
        self.visited.append(site)
        assert relevance.shape == self.values[site.node].shape
        assert relevance.isfinite().all()
        self.sites[site.node.name] = relevance

    @property
    def input(self):
        """Relevance of the model's (first) input; nothing else is left."""
        assert all(node.op == "placeholder" for node in self.left)
        return next(iter(self.left.values()))



def all_values(program, args):
    env, found = program.start(args), {}
    for place in range(len(program.nodes) - 1):
        found.update(env)
        program.advance(env, place, place + 1)
    return found | env


def recorded(module, args):
    """One run of *module* as a program with its sites; much quicker to get than an export."""
    graph = record(module.eval().requires_grad_(False), args)
    tidy(graph)
    names = {node.name: (str(node.target),) for node in graph.graph.nodes if node.op == "get_attr"}
    traced = Traced(program=graph, graph=digraph(graph), parameters=names, batch=len(args[0]),
                    notes=())
    sites = find_layers(traced, measure_shapes(Program(traced), args)).sites
    return SimpleNamespace(program=Program(traced, sites))


def swept(module, args, rules, **options):
    """A sweep over a recorded *module* in double precision."""
    args = tuple(arg.double() for arg in args)
    return Swept(recorded(module.double(), args), args, rules, **options)


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)


def swin(_models):
    return timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=32, depths=(2, 1), num_heads=(1, 2),
        embed_dim=8, window_size=4, num_classes=3), (torch.randn(2, 3, 32, 32),)


def vit(_models):
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=1, embed_dim=8, num_heads=2, num_classes=3,
        class_token=False, global_pool="avg"), (torch.randn(2, 3, 32, 32),)


def residual(models):  # wide enough that no convolution reads nothing but zeros
    return models.Residual(width=8), models.images()


MADE_HERE = {"swin": swin, "vit": vit, "residual": residual}
EXPORTED = {"swin", "residual", "sdpa_gqa", "tokens_first"}  # the others are recorded
CAPTURED = {}


def captured(models, name, *, biases=True):
    """A network in double precision, captured once, with its inputs; *biases* may be zeroed."""
    if name not in CAPTURED:
        torch.manual_seed(0)
        module, args = MADE_HERE[name](models) if name in MADE_HERE else plain(models, name)
        module, args = module.double(), tuple(arg.double() for arg in args)
        catch = models.catch if name in EXPORTED else recorded
        CAPTURED[name] = catch(module, args), args, [
            (layer.bias, layer.bias.detach().clone()) for layer in module.modules()
            if isinstance(layer, nn.Linear | nn.Conv2d) and layer.bias is not None]
    caught, args, kept = CAPTURED[name]
    for bias, value in kept:  # the captured graph reads the module's own tensors
        bias.copy_(value if biases else torch.zeros_like(value))
    return caught, args


def unbiased(module):
    for name, value in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(value)
    return module


def plain(models, name):
    module, some = models.build(name)
    return module, some(3)


CONSERVING = ("chain", "deep", "residual", "attention", "masked", "sdpa", "sdpa_bool", "sdpa_gqa",
              "mha", "mha_weights", "tokens_first", "windows", "autoencoder", "twice", "swin",
              "vit")


@pytest.mark.parametrize("name", CONSERVING)
def test_epsilon_conserves_what_each_sample_has_without_biases(models, name):
    assert_conserved(Swept(*captured(models, name, biases=False), EPSILON))


@pytest.mark.parametrize("alpha", ALPHA_BETA)
@pytest.mark.parametrize("name", CONSERVING)
def test_alpha_beta_conserves_with_biases_too(models, name, alpha):
    assert_conserved(Swept(*captured(models, name), ALPHA_BETA[alpha]))


def test_samples_are_told_apart_in_a_recorded_graph_too(models):
    """Its sizes are plain numbers; here samples lie in the second dimension."""
    module, some = models.build("tokens_first")
    assert_conserved(swept(unbiased(module), some(3), EPSILON))


@pytest.mark.parametrize("name", ["chain", "residual"])
def test_biases_keep_their_share_under_epsilon(models, name):
    total = Swept(*captured(models, name), EPSILON).input.sum()
    assert (total - 3).abs() > 1e-2


def assert_conserved(found):
    torch.testing.assert_close(found.input.flatten(1).sum(1), found.start.flatten(1).sum(1),
                               rtol=0, atol=1e-4)
    assert found.input.abs().sum() > 0.1


def test_without_biases_epsilon_is_gradient_times_input():
    args = (torch.randn(4, 6).double(),)
    linear = nn.Sequential(*(nn.Linear(6, 6, bias=False) for _ in range(2)), nn.ReLU(),
                           nn.Linear(6, 3, bias=False))
    found = swept(linear, args, EPSILON)
    x = args[0].clone().requires_grad_()
    with torch.enable_grad():
        top = linear(x).amax(1)
        (slope,) = torch.autograd.grad((top / top.detach()).sum(), x)
    torch.testing.assert_close(found.input, slope * args[0])


def test_epsilon_takes_from_small_outputs():
    layer = nn.Linear(6, 3, bias=False)
    x = torch.randn(4, 6)
    found = swept(layer, (x,), Rules(epsilon=0.5))
    w, x = layer.weight.detach(), x.double()
    z = x @ w.T
    share = found.start / (z + 0.5 * z.sign() * z.square().mean().sqrt())
    torch.testing.assert_close(found.input, x * (share @ w))


@pytest.mark.parametrize("alpha", [1.0, 2.0, 1.5])
def test_alpha_beta_is_the_formula(alpha):
    layer, x = nn.Linear(24, 3), torch.randn(4, 24)
    seed = torch.rand(4, 3).double()
    found = swept(layer, (x,), Rules(linear="alpha_beta", alpha=alpha), seed=seed)
    w, x = layer.weight.detach(), x.double()

    def part(first, second):
        s = seed / (x.clamp(min=0) @ first.T + x.clamp(max=0) @ second.T)
        return x.clamp(min=0) * (s @ first) + x.clamp(max=0) * (s @ second)

    up, down = w.clamp(min=0), w.clamp(max=0)
    torch.testing.assert_close(found.input, alpha * part(up, down) - (alpha - 1) * part(down, up))


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_alpha_beta_gives_all_to_the_only_part_there_is(alpha):
    layer = nn.Linear(3, 2)
    layer.weight.data = torch.tensor([[1.0, 2, 3], [-1, -1, -2]])
    seed = torch.tensor([[1.0, 0], [0, 1.0]]).double()
    found = swept(layer, (torch.ones(2, 3),), Rules(linear="alpha_beta", alpha=alpha),
                  seed=seed)
    expected = torch.tensor([[1 / 6, 2 / 6, 3 / 6], [0.25, 0.25, 0.5]]).double()
    torch.testing.assert_close(found.input, expected)


class Box(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).flatten(1)


def test_the_first_convolution_gets_the_box_rule():
    module, args = Box(), (torch.randn(3, 2, 5, 5),)
    seed = torch.rand(3, 100).double()
    found = swept(module, args, EPSILON, seed=seed)
    x, w = args[0].double(), module.conv.weight.detach()
    low = x.amin((1, 2, 3), keepdim=True).expand_as(x)
    high = x.amax((1, 2, 3), keepdim=True).expand_as(x)
    up, down = w.clamp(min=0), w.clamp(max=0)
    z = F.conv2d(x, w, padding=1) - F.conv2d(low, up, padding=1) - F.conv2d(high, down, padding=1)
    s = seed.view_as(z) / z
    back = [part * F.conv_transpose2d(s, weight, padding=1)
            for part, weight in ((x, w), (low, up), (high, down))]
    torch.testing.assert_close(found.input, back[0] - back[1] - back[2])


def test_the_box_rule_can_be_turned_off():
    module, args = Box(), (torch.randn(3, 2, 5, 5),)
    found = swept(module, args, PLAIN)
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


def test_moves_permute_relevance():
    module, x = Moves(), torch.randn(2, 4, 4, 3).relu()  # zeros get theirs, too
    places = torch.arange(1, x.numel() + 1.0).view_as(x)
    seed = module(torch.rand_like(places)).clone().uniform_(0.1, 1)
    found = swept(module, (x,), EPSILON, seed=seed.double())
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
def test_branches_share_by_their_sums(sign):
    x = torch.tensor([[2.0, -3.0, 5.0], [1.0, 1.5, -4.0]])
    seed = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 1.0]]).double()
    found = swept(Two(sign), (x,), EPSILON, seed=seed)
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


def test_a_gate_gets_half_and_a_constant_nothing():
    x = torch.tensor([[2.0, -3.0, 5.0], [1.0, 1.5, -4.0]])
    seed = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 1.0]]).double()
    found = swept(Gate(), (x,), EPSILON, seed=seed)
    x = x.double()
    expected = seed / 2 + x / x.sum(1, keepdim=True) * seed.sum(1, keepdim=True) / 2
    torch.testing.assert_close(found.input, expected)


class Open(nn.Module):
    """The attention of *inner* written out."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.kind = inner, inner.kind
        inner.attend = self.attend

    def attend(self, q, k, v):
        if self.kind == "gqa":
            k, v = (t.repeat_interleave(2, 1) for t in (k, v))
        logits = q @ k.transpose(-2, -1) * (0.2 if self.kind == "scale" else 0.5)
        if self.kind in {"mask", "bool", "causal"}:
            logits = logits + self.inner.mask
        return logits.softmax(-1) @ v

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("kind", ["plain", "mask", "bool", "causal", "gqa", "scale"])
def test_fused_attention_is_as_in_the_open(models, kind):
    name = "sdpa" if kind == "plain" else f"sdpa_{kind}"
    caught, args = captured(models, name)
    opened = recorded(Open(models.build(name)[0].double()), args)
    assert any("softmax" in str(node.target) for node in opened.program.nodes)
    for rules in (EPSILON, *ALPHA_BETA.values()):
        torch.testing.assert_close(Swept(caught, args, rules).input,
                                   Swept(opened, args, rules).input, rtol=1e-4, atol=1e-4)


class OwnMask(nn.Module):
    """Attention with a bias made from what it attends to, fused or added to a product."""

    def __init__(self, *, fused):
        super().__init__()
        self.fused, self.bias = fused, nn.Linear(8, 5)
        self.q = nn.Linear(8, 8, bias=False)

    def forward(self, x):
        if self.fused:
            return F.scaled_dot_product_attention(self.q(x), x, x, attn_mask=self.bias(x)).sum(1)
        return torch.baddbmm(self.bias(x), self.q(x), x.transpose(1, 2)).softmax(-1).sum(1)


def test_a_mask_from_activations_gets_nothing_inside_fused_attention_but_a_share_outside():
    args = (torch.randn(3, 5, 8),)
    found = swept(OwnMask(fused=True), args, EPSILON)
    assert_conserved(found)
    reached = [value.any() for value in found.sites.values()]
    assert sorted(reached) == [False, True, True]  # the mask's layer, the query's, and attention
    found = swept(unbiased(OwnMask(fused=False)), args, EPSILON)
    assert_conserved(found)
    assert all(value.any() for value in found.sites.values())


@pytest.mark.parametrize("name", ["residual", "sdpa_gqa", "swin", "mha_weights"])
def test_pieces_give_the_same_numbers(models, name):
    caught, args = captured(models, name)
    program = caught.program
    whole = Swept(caught, args, Rules())
    cuts = [n for n in range(1, len(program.nodes), 3)
            if not str(program.nodes[n].target).startswith("<built-in function getitem")]
    pieces = Swept(caught, args, Rules(), cuts=cuts)
    assert torch.equal(whole.input, pieces.input)
    assert whole.sites.keys() == pieces.sites.keys()
    assert all(torch.equal(whole.sites[key], pieces.sites[key]) for key in whole.sites)


def test_relevance_before_a_piece_is_added_to_what_was_there(models):
    caught, args = captured(models, "twice")
    whole = Swept(caught, args, Rules())
    site = whole.visited[0]
    place = caught.program.position[site.node]
    source, seen = site.node.args[0], torch.ones_like(whole.values[site.node.args[0]])
    left = {site.node: whole.start, source: seen}
    propagate(caught.program, place, place + 1, whole.values, left, Rules(), lambda *_: None)
    assert set(left) == {source}
    fresh = {site.node: whole.start}
    propagate(caught.program, place, place + 1, whole.values, fresh, Rules(), lambda *_: None)
    torch.testing.assert_close(left[source], fresh[source] + 1)


@pytest.mark.parametrize("name", ["language", "stored", "left", "branch", "branch_tokens_first",
                                  "writes", "all_star", "positions", "maps", "dense"])
@pytest.mark.parametrize("rules", [Rules(), ALPHA_BETA[2.0]], ids=["epsilon", "alpha_beta"])
def test_any_graph_gets_through(models, name, rules):
    caught = models.caught(name)
    found = Swept(caught, models.inputs_of(name, 3), rules)
    assert found.visited == list(reversed(caught.layers.sites))
    constant = [name == "language" and site.layers == ("places",) for site in found.visited]
    assert [not found.sites[site.node.name].any() for site in found.visited] == constant
    assert all(value.isfinite().all() for value in found.left.values())


def test_ids_get_no_relevance(models):
    found = Swept(models.caught("language"), models.inputs_of("language", 3), Rules())
    assert found.left == {}


def test_half_precision_is_worked_out_in_single(models):
    single = Swept(*captured(models, "sdpa_mask"), Rules())
    args = tuple(arg.bfloat16() for arg in models.inputs_of("sdpa_mask", 3))
    module, _ = models.build("sdpa_mask")
    half = Swept(recorded(module.bfloat16(), args), args, Rules())
    assert half.input.dtype is torch.float32
    assert {value.dtype for value in half.sites.values()} == {torch.float32}
    difference = (half.input - single.input).norm() / single.input.norm()
    assert difference < 0.2


def test_nothing_is_left_of_gradients(models):
    caught, args = captured(models, "residual")
    args = tuple(arg.clone().requires_grad_() for arg in args)
    found = Swept(caught, args, Rules())
    assert not any(value.requires_grad for value in found.sites.values())
    assert not found.input.requires_grad
    assert args[0].grad is None


class Odd(nn.Module):
    """Operations without a gradient, a branch that ends, and numbers that are not finite."""

    def __init__(self):
        super().__init__()
        self.first, self.unused = nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        y = torch.where(x > 0, x, -torch.inf).exp() + torch.nextafter(x, x + 1)
        side = self.unused(y).argmax(1, keepdim=True)
        return self.head(y.cumsum(1) * (x.round() / x.norm(dim=1, keepdim=True)) + side)


def test_odd_operations_end_relevance_quietly():
    found = swept(Odd(), (torch.randn(4, 6),), Rules())
    assert found.input.isfinite().all()
    assert found.input.any()
    zero, *rest = sorted(found.sites.values(), key=lambda value: float(value.abs().sum()))
    assert not zero.any()
    assert len(rest) == 2


def test_the_top_class_starts_with_one():
    output = torch.tensor([[0.1, 0.9, 0.2], [3.0, -1.0, 0.0]])
    assert start(output).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert start(output.bfloat16()).dtype is torch.float32
    assert torch.equal(start(torch.randn(2, 3, 4, 5)).sum(1), torch.ones(2, 4, 5))
    with pytest.raises(BadInput):
        start(torch.randn(4))
