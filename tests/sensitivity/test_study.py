"""Means, standard errors, and what a scheme does to a group."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.types import Scheme
from mpsearch.sensitivity.study import table

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


@given(VALUES)
def test_a_row_becomes_its_mean_and_standard_error(models, values):
    space = models.space_of(models.caught("windows").layers, models.weights_only(4))
    rows = {group.name: [values] for group in space.groups}
    found = table("loss", "nats", space, rows)
    assert (found.metric, found.unit) == ("loss", "nats")
    assert found.groups == ("inside", "head")
    assert found.values[0][0] == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)
    expected = statistics.stdev(values) / math.sqrt(len(values))
    assert found.stderr[1][0] == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_one_sample_has_no_spread(models):
    space = models.space_of(models.caught("windows").layers, models.weights_only(4))
    found = table("loss", "nats", space, {group.name: [[2.5]] for group in space.groups})
    assert found.values == ((2.5,), (2.5,))
    assert found.stderr is None


def test_the_changes_of_a_group_are_those_of_its_layers(models):
    fmt = models.int_format(8, "tensor")
    study = models.study_of(models.caught("attention"), models.weights_and_inputs((4,), [fmt]),
                            [models.inputs_of("attention", 2)], tie=(("q", "matmul_0"),))
    group = study.space.groups[0]
    assert group.layers == ("q", "matmul_0")
    (scheme,) = group.schemes
    changes = study.changes(group, scheme)
    assert {layer: set(made) for layer, made in changes.items()} == {
        "q": {"weight", "input"}, "matmul_0": {"input", "other"}}
    assert study.changes(group, Scheme()) == {"q": {}, "matmul_0": {}}


def test_sites_are_in_order_of_execution(models):
    study = models.study_of(models.caught("twice"), models.weights_only(4), [],
                            tie=(("again", "first"),))
    sites = study.sites(study.space.groups[0])
    assert [site.layers for site in sites] == [("first",), ("again",), ("again",)]
