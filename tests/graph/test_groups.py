"""Layers that read activations which an integer runtime stores as one are in one group."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


def groups(layers):
    """Layers by group, groups of a single layer left out."""
    found = {}
    for spec in layers.specs:
        found.setdefault(spec.activation_group, []).append(spec.name)
    return {name: members for name, members in found.items() if len(members) > 1}


class Pair(nn.Module):
    """Layers a and b, wired by a function."""

    def __init__(self, wire):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        self.shift = nn.Parameter(torch.ones(6))
        self.wire = wire

    def forward(self, x):
        return self.wire(self, x)


@pytest.mark.parametrize(("name", "expected"), [
    ("chain", {}),
    # the block's input, the sum behind it, and both readers of that sum
    ("residual", {"conv1": ["conv1", "conv3", "down"]}),
    ("dense", {"a": ["a", "b", "c"]}),
    ("attention", {"q": ["q", "k", "v"]}),
    ("twice", {"again": ["again", "other"]}),
    ("branch", {}),
])
def test_groups_of_whole_models(models, name, expected):
    assert groups(models.caught(name).layers) == expected


@pytest.mark.parametrize("wire", [
    lambda m, x: m.a(x) + m.b(x),
    lambda m, x: m.a(x) + m.b(x.flip(0).relu()),
    lambda m, x: m.a(x) + m.b(x + F.gelu(x)),
    lambda m, x: m.b(torch.where(m.a(x) > 0, x, 0.0)),
    lambda m, x: m.a(x) + m.b(F.pixel_shuffle(x[..., None, None].repeat(1, 4, 1, 1), 2)[..., 0, 1]),
    lambda m, x: m.a(x) + m.b(x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1)),
])
def test_what_lies_on_one_grid_is_tied(models, wire):
    assert groups(models.catch(Pair(wire), models.vectors()).layers) == {"a": ["a", "b"]}


@pytest.mark.parametrize("wire", [
    lambda m, x: m.b(F.gelu(m.a(x))),
    lambda m, x: m.a(x) + m.b(x.sigmoid()),
    lambda m, x: m.a(x) + m.b(2 * x),
    lambda m, x: m.b(m.a(x)) + x,
    # both choices are made by one mask, which holds no numbers of its own
    lambda m, x: m.b(torch.where(mask := x > 0, m.a(torch.where(mask, x.exp(), 0.0)), 0.0)),
    # a parameter added to both is known beforehand
    lambda m, x: m.b(m.a(x + m.shift).sin() + m.shift),
])
def test_what_changes_the_grid_is_not(models, wire):
    assert groups(models.catch(Pair(wire), models.vectors()).layers) == {}


def test_a_group_is_named_after_its_first_layer_and_others_after_themselves(models):
    specs = {spec.name: spec.activation_group for spec in models.caught("residual").layers.specs}
    assert specs["down"] == "conv1"
    assert specs["head"] == "head"
