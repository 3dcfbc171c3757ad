"""Synthetic measurements: spaces, tables and records without a model."""

from __future__ import annotations

import pytest

from mpsearch.core.formats import IntFormat
from mpsearch.core.types import (
    Group,
    LayerSpec,
    ModelRef,
    Scheme,
    ScoreTable,
    SearchSpace,
)
from mpsearch.steps.measure import Measured
from mpsearch.steps.record import StudyRecord


@pytest.fixture(scope="session")
def weight():
    """A scheme of the weight's bits alone."""

    def make(bits, granularity="channel"):
        return Scheme(weight=IntFormat(bits=bits, granularity=granularity))

    return make


@pytest.fixture(scope="session")
def make_space():
    """A space of linear layers, each its own group: name -> (shape, schemes)."""

    def make(layers):
        specs = tuple(LayerSpec(name=name, kind="linear", weight=f"{name}.weight",
                                weight_shape=shape, macs=shape[0] * shape[1])
                      for name, (shape, _) in layers.items())
        groups = tuple(Group(name=name, layers=(name,), schemes=tuple(schemes))
                       for name, (_, schemes) in layers.items())
        return SearchSpace(name="test", layers=specs, groups=groups)

    return make


@pytest.fixture(scope="session")
def make_measured():
    """What a measurement of *space* would have left, with the given losses."""

    def make(space, losses=None, *, other_bytes=100, ranges=None):
        rows = losses or [[1.0 / (k + 1) for k, _ in enumerate(group.schemes)]
                          for group in space.groups]
        table = ScoreTable(metric="kl_probe", unit="nats",
                           groups=tuple(group.name for group in space.groups),
                           values=tuple(tuple(row) for row in rows))
        record = StudyRecord(model=ModelRef(source="a", fingerprint="sha256:00"), space=space,
                             other_bytes=other_bytes, data_digest="", ranges=ranges or {})
        return Measured(key="study", record=record, tables={"kl_probe": table}, new_units=0,
                        resumed_units=0)

    return make


@pytest.fixture
def two_layers(make_space, weight):
    """Two layers with 2, 4 and 8 bits each."""
    menu = [weight(2), weight(4), weight(8)]
    return make_space({"first": ((4, 16), menu), "last": ((8, 64), menu)})
