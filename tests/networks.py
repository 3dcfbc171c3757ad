"""Small networks, one for each way a layer can be hidden in a graph."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

CLASSES = 3


class Chain(nn.Module):
    """Linear layers in a row, from 6 numbers to 3 classes."""

    def __init__(self, depth=3, width=8):
        super().__init__()
        sizes = [6, *[width] * (depth - 1), CLASSES]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.gelu(layer(x))
        return self.layers[-1](x)


class Residual(nn.Module):
    """A stem, a block with an identity, a block with a projection, and a head."""

    def __init__(self, width=4, groups=2):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, groups=groups)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 1, stride=2)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.head = nn.Linear(2 * width, CLASSES)
        for norm in (self.norm1, self.norm2):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        x = F.relu(x + self.conv2(F.relu(self.norm1(self.conv1(x)))))
        x = self.norm2(self.conv3(x)) + self.down(x)
        return self.head(F.relu(x).mean((2, 3)))


class Dense(nn.Module):
    """Each convolution reads all that came before, concatenated."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 2, 1), nn.Conv2d(5, 2, 1), nn.Conv2d(7, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2, CLASSES)

    def forward(self, x):
        x = torch.cat([x, self.a(x)], 1)
        x = torch.cat([x, self.b(x)], 1)
        return self.head(self.norm(self.c(x)).mean((2, 3)))


class Attention(nn.Module):
    """One attention block over 5 tokens of 8 numbers; the product as *kind* says."""

    def __init__(self, kind="matmul", heads=2, kv_heads=2):
        super().__init__()
        self.kind, self.heads, self.kv_heads = kind, heads, kv_heads
        self.norm = nn.LayerNorm(8)
        self.q = nn.Linear(8, 4 * heads)
        self.k, self.v = nn.Linear(8, 4 * kv_heads), nn.Linear(8, 4 * kv_heads)
        self.proj, self.head = nn.Linear(4 * heads, 8), nn.Linear(8, CLASSES)
        self.register_buffer("mask", torch.tensor([[0.0] * (i + 1) + [-torch.inf] * (4 - i)
                                                   for i in range(5)]))

    def forward(self, x):
        n = self.norm(x)
        q, k, v = (layer(n).unflatten(-1, (-1, 4)).transpose(1, 2)
                   for layer in (self.q, self.k, self.v))
        y = self.attend(q, k, v).transpose(1, 2).flatten(2)
        return self.head((x + self.proj(y)).mean(1))

    def attend(self, q, k, v):
        if self.kind == "matmul":
            return (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v
        if self.kind == "masked":
            return (q @ k.transpose(-2, -1) + self.mask).softmax(-1) @ v
        options = {"plain": {}, "causal": {"is_causal": True}, "scale": {"scale": 0.2},
                   "mask": {"attn_mask": self.mask}, "bool": {"attn_mask": self.mask == 0},
                   "gqa": {"enable_gqa": True}}[self.kind]
        return F.scaled_dot_product_attention(q, k, v, **options)


class SelfAttention(nn.Module):
    """torch's own attention module, with a mask of minus infinity."""

    def __init__(self, *, need_weights, batch_first=True):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.head = nn.Linear(8, CLASSES)
        self.need_weights, self.batch_first = need_weights, batch_first
        self.register_buffer("mask", torch.full((5, 5), -torch.inf).triu(1))

    def forward(self, x):
        x = x if self.batch_first else x.transpose(0, 1)
        y, _ = self.attn(x, x, x, attn_mask=self.mask, need_weights=self.need_weights)
        return self.head(y.mean(1 if self.batch_first else 0))


class TokensFirst(nn.Module):
    """A transformer whose samples lie in the second dimension."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=False)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.encoder(x.transpose(0, 1)).mean(0))


class Windows(nn.Module):
    """Windows are folded into the samples, and unfolded again."""

    def __init__(self):
        super().__init__()
        self.inside, self.head = nn.Linear(4, 4), nn.Linear(8, CLASSES)

    def forward(self, x):
        n = x.shape[0]
        return self.head(F.gelu(self.inside(x.reshape(n * 2, 4))).reshape(n, 8))


class Language(nn.Module):
    """Token and position embeddings, with the head tied to the tokens in one of four ways."""

    def __init__(self, tie="module"):
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, 8), nn.Embedding(4, 8)
        self.mlp = nn.Linear(8, 8)
        self.tie = tie
        if tie == "module":
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.tokens(ids) + self.places(torch.arange(4, device=ids.device))
        x = x + F.gelu(self.mlp(x))
        if self.tie == "module":
            return self.head(x)
        if self.tie == "function":
            return F.linear(x, self.tokens.weight)
        return x @ self.tokens.weight.T


class Stored(nn.Module):
    """Weights stored with inputs first, with several layers in one tensor, or as vectors."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.randn(6, 8))
        self.qkv = nn.Parameter(torch.randn(12, 8))
        self.conv1d_weight = nn.Parameter(torch.randn(12, 4))
        self.experts = nn.Parameter(torch.randn(3, 4, 5))
        self.gate = nn.Parameter(torch.randn(5))
        self.bias = nn.Parameter(torch.randn(4))
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x):
        x = x @ self.first
        x = torch.cat([F.linear(x, part) for part in self.qkv.chunk(3)], -1)
        x = torch.addmm(self.bias, F.gelu(x), self.conv1d_weight)
        x = torch.bmm(x.expand(3, *x.shape), self.experts).sum(0)
        return self.head(x * (x @ self.gate).unsqueeze(-1))


class TiedAutoencoder(nn.Module):
    """One stored matrix, used from both sides; square, so that a mix-up shows in values only."""

    def __init__(self):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(6, 6))
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.head(torch.tanh(x @ self.basis) @ self.basis.T)


class Twice(nn.Module):
    """One layer runs twice, on tensors that other layers read too."""

    def __init__(self):
        super().__init__()
        self.first, self.again, self.other = (nn.Linear(6, 6) for _ in range(3))
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        y = F.gelu(self.first(x))
        z = F.gelu(self.again(y))
        return self.head(F.gelu(self.again(z)) + F.gelu(self.other(y)))


class Left(nn.Module):
    """What is not offered: computed weights, a transposed convolution, einsum."""

    def __init__(self):
        super().__init__()
        self.standard = nn.Conv1d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose1d(4, 4, 2, stride=2)
        self.mix = nn.Parameter(torch.randn(4, 4))
        self.branch = nn.Linear(4, 4)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x):
        w = self.standard.weight
        w = (w - w.mean((1, 2), keepdim=True)) / w.std((1, 2), keepdim=True)
        x = self.up(F.conv1d(x, w, self.standard.bias, padding=1))
        x = torch.einsum("nct,cd->nd", x, self.mix)
        x = torch.cond(x.sum() > 0, self.branch, lambda t: self.branch(-t), (x,))
        return self.head(x)


class Branch(nn.Module):
    """Control flow that depends on data, so that export gives up; in-place operations."""

    def __init__(self, inner=None):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.inner = inner or nn.Identity()
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        with torch.no_grad():
            h = self.first(x)
        h.add_(0.5).relu_()
        if h.sum() < -1:
            return self.head(-h)
        k = self.second(h)
        k += h
        h = self.inner(self.first(k.mul_(2)))
        return self.head(h)


class Writes(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        self.calls += 1
        return self.head(x) + 0 * self.calls


class Takes(nn.Module):
    """Two inputs in various forms of forward, and outputs in a dictionary."""

    def __init__(self, *, star):
        super().__init__()
        self.head = nn.Linear(6, CLASSES)
        self.forward = self.all_star if star == "all" else self.some_star

    def all_star(self, *inputs):
        return {"ids": torch.arange(2), "out": (self.head(inputs[0] - inputs[1]), inputs[0])}

    def some_star(self, x, *rest):
        return [self.head(x - rest[0])]


class PerPosition(nn.Module):
    """Classes for each of 4 positions: [N, 4, 3], or [N, 3, 2, 2] where *maps*."""

    def __init__(self, *, maps):
        super().__init__()
        self.hidden, self.head, self.maps = nn.Linear(6, 8), nn.Linear(8, 4 * CLASSES), maps

    def forward(self, x):
        y = self.head(F.gelu(self.hidden(x))).unflatten(-1, (4, CLASSES))
        return y.transpose(1, 2).unflatten(-1, (2, 2)) if self.maps else y


class ResNet20(nn.Module):
    """He et al. (2016) for small images: shortcuts are strided and padded with zeros, option A."""

    class Block(nn.Module):
        def __init__(self, before, planes, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(planes), nn.BatchNorm2d(planes)
            self.stride, self.more = stride, (planes - before) // 2

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.more:
                x = x[:, :, ::self.stride, ::self.stride]
                x = F.pad(x, (0, 0, 0, 0, self.more, self.more))
            return F.relu(x + y)

    def __init__(self, width=16):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        widths = [width] * 4 + [2 * width] * 3 + [4 * width] * 3
        self.blocks = nn.Sequential(*(
            self.Block(a, b, 1 + (a != b)) for a, b in pairwise(widths)))
        self.linear = nn.Linear(4 * width, 10)

    def forward(self, x):
        return self.linear(self.blocks(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


def vectors(samples=3):
    return (torch.randn(samples, 6),)


def images(samples=3, size=6):
    return (torch.randn(samples, 3, size, size),)


def tokens(samples=3):
    return (torch.randn(samples, 5, 8),)


def ids(samples=3):
    return (torch.randint(0, 11, (samples, 4)),)


MODELS = {
    "chain": (Chain, vectors),
    "deep": (lambda: Chain(depth=12), vectors),
    "residual": (Residual, images),
    "dense": (Dense, images),
    "attention": (Attention, tokens),
    "masked": (lambda: Attention("masked"), tokens),
    "sdpa": (lambda: Attention("plain"), tokens),
    "sdpa_mask": (lambda: Attention("mask"), tokens),
    "sdpa_bool": (lambda: Attention("bool"), tokens),
    "sdpa_causal": (lambda: Attention("causal"), tokens),
    "sdpa_scale": (lambda: Attention("scale"), tokens),
    "sdpa_gqa": (lambda: Attention("gqa", heads=4, kv_heads=2), tokens),
    "mha": (lambda: SelfAttention(need_weights=False), tokens),
    "mha_weights": (lambda: SelfAttention(need_weights=True, batch_first=False), tokens),
    "tokens_first": (TokensFirst, tokens),
    "windows": (Windows, lambda samples=3: (torch.randn(samples, 8),)),
    "language": (Language, ids),
    "language_function": (lambda: Language("function"), ids),
    "language_product": (lambda: Language("product"), ids),
    "stored": (Stored, vectors),
    "autoencoder": (TiedAutoencoder, vectors),
    "twice": (Twice, vectors),
    "left": (Left, lambda samples=3: (torch.randn(samples, 4, 6),)),
    "branch": (Branch, vectors),
    "branch_tokens_first": (lambda: Branch(nn.Sequential(nn.Unflatten(1, (2, 3)), Flip())),
                            vectors),
    "writes": (Writes, vectors),
    "all_star": (lambda: Takes(star="all"), lambda samples=3: vectors(samples) + vectors(samples)),
    "some_star": (lambda: Takes(star="some"),
                  lambda samples=3: vectors(samples) + vectors(samples)),
    "positions": (lambda: PerPosition(maps=False), vectors),
    "maps": (lambda: PerPosition(maps=True), vectors),
}


class Flip(nn.Module):
    """A linear layer that sees its samples in the second dimension."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(x.transpose(0, 1)).transpose(0, 1).flatten(1)
