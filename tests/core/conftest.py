"""Policies for tests: one written out, and any by hypothesis."""

import pytest
from hypothesis import strategies as st

from mpsearch.core.formats import IntFormat
from mpsearch.core.keep import Keep
from mpsearch.core.types import Evaluation, ModelRef, Policy, Scheme, StaticRange, Totals
from tests.formats import integer

FINITE = st.floats(-1e9, 1e9, allow_nan=False)
FORMATS = st.builds(
    integer, bits=st.integers(2, 16), symmetric=st.booleans(),
    granularity=st.sampled_from(["tensor", "channel", "token", "group:64"]),
    scale=st.sampled_from(["absmax", "percentile", "least_squares"]))
KEEPS = st.builds(lambda units, kept: Keep.of("branch", units, {each % units for each in kept}),
                  st.integers(1, 9), st.sets(st.integers(0, 8)))
SCHEMES = st.builds(Scheme, weight=st.none() | FORMATS, input=st.none() | FORMATS,
                    other=st.none() | FORMATS, keep=st.none() | KEEPS)
NAMES = st.text(min_size=1, max_size=20)
TOTALS = st.builds(
    Totals, weights=st.integers(0, 10**12), size_bits=st.integers(0, 10**13),
    bits_per_weight=FINITE, file_bytes=st.integers(0, 10**12), bops=FINITE, predicted_loss=FINITE,
    measured_loss=st.none() | FINITE)
EVALUATIONS = st.builds(
    Evaluation, samples=st.integers(1, 10**6), kl=FINITE, kl_stderr=FINITE, agreement=FINITE,
    agreement_stderr=FINITE, top1=st.none() | FINITE, top1_stderr=st.none() | FINITE,
    float_top1=st.none() | FINITE)
RANGES = st.builds(
    StaticRange, scale=st.floats(2.0**-100, 1e9), zero_point=st.integers(-(2**15), 2**15),
    more=st.dictionaries(st.sampled_from(["table", "shift"]),
                         st.lists(FINITE, max_size=3).map(tuple), max_size=2))
POLICIES = st.builds(
    Policy, model=st.builds(ModelRef, source=NAMES, fingerprint=NAMES),
    layers=st.dictionaries(NAMES, SCHEMES, max_size=4), totals=TOTALS,
    activations=st.dictionaries(NAMES, st.dictionaries(st.sampled_from(["input", "other"]), RANGES),
                                max_size=2),
    evaluation=st.none() | EVALUATIONS,
    provenance=st.dictionaries(NAMES, st.none() | FINITE | NAMES | st.lists(NAMES, max_size=2),
                               max_size=3))


@pytest.fixture(scope="session")
def policies() -> st.SearchStrategy[Policy]:
    """Any policy that the types allow."""
    return POLICIES


@pytest.fixture(scope="session")
def policy() -> Policy:
    """A policy of two layers, one of them left alone."""
    return Policy(
        model=ModelRef(source="here.model:make", fingerprint="0123abcd"),
        layers={"first": Scheme(weight=IntFormat(bits=4)), "last": Scheme()},
        totals=Totals(weights=100, size_bits=450, bits_per_weight=4.5, file_bytes=80, bops=1e6,
                      predicted_loss=0.25))
