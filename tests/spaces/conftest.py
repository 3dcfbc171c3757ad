"""Layers and rules to resolve. Session scope, so that hypothesis may use them."""

import tomllib

import pytest

from mpsearch.core.types import LayerSpec
from mpsearch.spaces.read import parse_space
from mpsearch.spaces.resolve import resolve

SHAPES = {"linear": (4, 6), "conv": (4, 2, 3, 3), "embedding": (10, 6), "matmul": None}


def build_layer(name, kind="linear", **fields):
    weighted = {} if kind == "matmul" else {
        "weight": f"{name}.weight", "weight_shape": SHAPES[kind]}
    return LayerSpec(**{"name": name, "kind": kind, **weighted, **fields})


@pytest.fixture(scope="session")
def layer():
    return build_layer


@pytest.fixture(scope="session")
def parse():
    return lambda text: parse_space(tomllib.loads(text), source="my.toml")


@pytest.fixture(scope="session")
def solve(parse):
    """Resolve rules against layers; the search space alone."""
    return lambda text, *layers: resolve(parse(text), layers)[0]


@pytest.fixture(scope="session")
def menu(solve):
    """The candidate schemes, as text, of the first group."""
    return lambda text, *layers: [str(s) for s in solve(text, *layers).groups[0].schemes]


@pytest.fixture(scope="session")
def silent(parse):
    """What resolving reports as matching nothing."""
    return lambda text, *layers: resolve(parse(text), layers)[1]
