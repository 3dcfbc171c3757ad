"""Tensors for the tests of this room."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import gelu

KINDS = ("normal", "heavy", "positive", "shifted", "uniform", "sparse", "gelu", "lattice", "zero")


def make(kind, shape, seed):
    """Numbers of a *kind* that weights or activations come in; the same for the same *seed*."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(shape, generator=generator)
    chance = torch.rand(shape, generator=generator)
    return {
        "normal": normal,
        "heavy": normal / chance.clamp(min=1e-3),
        "positive": normal.abs(),
        "shifted": normal + 2,
        "uniform": 2 * chance - 1,
        "sparse": normal * (chance < 0.2),
        "gelu": gelu(2 * normal),
        "lattice": (3 * normal).round() / 4,
        "zero": torch.zeros(shape),
    }[kind]


@pytest.fixture(scope="session")
def tensor():
    """The function that makes tensors."""
    return make
