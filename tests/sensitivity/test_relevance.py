"""Relevance is conserved, agrees with closed forms, and gets through any graph."""


import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mpsearch.core.errors import BadInput
from mpsearch.sensitivity.relevance.propagate import propagate, start
from mpsearch.sensitivity.relevance.rules import Rules

EPSILON = Rules(epsilon=1e-12)
ALPHA_BETA = {alpha: Rules(linear="alpha_beta", alpha=alpha) for alpha in (1.0, 2.0)}
PLAIN = Rules(epsilon=1e-12, first="same")


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


def captured(sweeping, models, name, *, biases=True):
    """A network in double precision, captured once, with its inputs; *biases* may be zeroed."""
    if name not in CAPTURED:
        torch.manual_seed(0)
        module, args = MADE_HERE[name](models) if name in MADE_HERE else plain(models, name)
        module, args = module.double(), tuple(arg.double() for arg in args)
        catch = models.catch if name in EXPORTED else sweeping.recorded
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
def test_epsilon_conserves_what_each_sample_has_without_biases(sweeping, models, name):
    assert_conserved(sweeping.Swept(*captured(sweeping, models, name, biases=False), EPSILON))


@pytest.mark.parametrize("alpha", ALPHA_BETA)
@pytest.mark.parametrize("name", CONSERVING)
def test_alpha_beta_conserves_with_biases_too(sweeping, models, name, alpha):
    assert_conserved(sweeping.Swept(*captured(sweeping, models, name), ALPHA_BETA[alpha]))


def test_samples_are_told_apart_in_a_recorded_graph_too(sweeping, models):
    """Its sizes are plain numbers; here samples lie in the second dimension."""
    module, some = models.build("tokens_first")
    assert_conserved(sweeping.swept(unbiased(module), some(3), EPSILON))


@pytest.mark.parametrize("name", ["chain", "residual"])
def test_biases_keep_their_share_under_epsilon(sweeping, models, name):
    total = sweeping.Swept(*captured(sweeping, models, name), EPSILON).input.sum()
    assert (total - 3).abs() > 1e-2


def assert_conserved(found):
    torch.testing.assert_close(found.input.flatten(1).sum(1), found.start.flatten(1).sum(1),
                               rtol=0, atol=1e-4)
    assert found.input.abs().sum() > 0.1


@pytest.mark.parametrize("name", ["residual", "sdpa_gqa", "swin", "mha_weights"])
def test_pieces_give_the_same_numbers(sweeping, models, name):
    caught, args = captured(sweeping, models, name)
    program = caught.program
    whole = sweeping.Swept(caught, args, Rules())
    cuts = [n for n in range(1, len(program.nodes), 3)
            if not str(program.nodes[n].target).startswith("<built-in function getitem")]
    pieces = sweeping.Swept(caught, args, Rules(), cuts=cuts)
    assert torch.equal(whole.input, pieces.input)
    assert whole.sites.keys() == pieces.sites.keys()
    assert all(torch.equal(whole.sites[key], pieces.sites[key]) for key in whole.sites)


def test_relevance_before_a_piece_is_added_to_what_was_there(sweeping, models):
    caught, args = captured(sweeping, models, "twice")
    whole = sweeping.Swept(caught, args, Rules())
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
def test_any_graph_gets_through(sweeping, models, name, rules):
    caught = models.caught(name)
    found = sweeping.Swept(caught, models.inputs_of(name, 3), rules)
    assert found.visited == list(reversed(caught.layers.sites))
    constant = [name == "language" and site.layers == ("places",) for site in found.visited]
    assert [not found.sites[site.node.name].any() for site in found.visited] == constant
    assert all(value.isfinite().all() for value in found.left.values())


def test_ids_get_no_relevance(sweeping, models):
    found = sweeping.Swept(models.caught("language"), models.inputs_of("language", 3), Rules())
    assert found.left == {}


def test_half_precision_is_worked_out_in_single(sweeping, models):
    single = sweeping.Swept(*captured(sweeping, models, "sdpa_mask"), Rules())
    args = tuple(arg.bfloat16() for arg in models.inputs_of("sdpa_mask", 3))
    module, _ = models.build("sdpa_mask")
    half = sweeping.Swept(sweeping.recorded(module.bfloat16(), args), args, Rules())
    assert half.input.dtype is torch.float32
    assert {value.dtype for value in half.sites.values()} == {torch.float32}
    difference = (half.input - single.input).norm() / single.input.norm()
    assert difference < 0.2


def test_nothing_is_left_of_gradients(sweeping, models):
    caught, args = captured(sweeping, models, "residual")
    args = tuple(arg.clone().requires_grad_() for arg in args)
    found = sweeping.Swept(caught, args, Rules())
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


def test_odd_operations_end_relevance_quietly(sweeping):
    found = sweeping.swept(Odd(), (torch.randn(4, 6),), Rules())
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
def test_fused_attention_is_as_in_the_open(sweeping, models, kind):
    name = "sdpa" if kind == "plain" else f"sdpa_{kind}"
    caught, args = captured(sweeping, models, name)
    opened = sweeping.recorded(Open(models.build(name)[0].double()), args)
    assert any("softmax" in str(node.target) for node in opened.program.nodes)
    for rules in (EPSILON, *ALPHA_BETA.values()):
        torch.testing.assert_close(sweeping.Swept(caught, args, rules).input,
                                   sweeping.Swept(opened, args, rules).input, rtol=1e-4, atol=1e-4)


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


def test_a_mask_from_activations_gets_nothing_inside_fused_attention_but_a_share_outside(sweeping):
    args = (torch.randn(3, 5, 8),)
    found = sweeping.swept(OwnMask(fused=True), args, EPSILON)
    assert_conserved(found)
    reached = [value.any() for value in found.sites.values()]
    assert sorted(reached) == [False, True, True]  # the mask's layer, the query's, and attention
    found = sweeping.swept(unbiased(OwnMask(fused=False)), args, EPSILON)
    assert_conserved(found)
    assert all(value.any() for value in found.sites.values())
