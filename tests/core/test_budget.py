"""Budgets as people type them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.core.budget import Budget
from mpsearch.core.errors import BadInput

UNITS = {
    "bpw": ("bits_per_weight", 1), "B": ("file_bytes", 1), "KB": ("file_bytes", 1000),
    "MB": ("file_bytes", 1000**2), "GB": ("file_bytes", 1000**3), "KiB": ("file_bytes", 1024),
    "MiB": ("file_bytes", 1024**2), "GiB": ("file_bytes", 1024**3), "BOPs": ("bops", 1),
    "kBOPs": ("bops", 1e3), "MBOPs": ("bops", 1e6), "GBOPs": ("bops", 1e9), "TBOPs": ("bops", 1e12),
    **{f"{unit}-activations": ("activation_bytes", size) for unit, size in (
        ("B", 1), ("KB", 1000), ("MB", 1000**2), ("GB", 1000**3), ("KiB", 1024), ("MiB", 1024**2),
        ("GiB", 1024**3))},
    "uJ": ("energy_mj", 1e-3), "mJ": ("energy_mj", 1), "J": ("energy_mj", 1000),
    "us": ("latency_ms", 1e-3), "ms": ("latency_ms", 1), "s": ("latency_ms", 1000),
}
POSITIVE = st.floats(1e-3, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("4.5bpw", "bits_per_weight", 4.5),
        ("12MiB", "file_bytes", 12 * 1024 * 1024),
        ("12MB", "file_bytes", 12_000_000),
        ("5GBOPs", "bops", 5e9),
        ("8ms", "latency_ms", 8.0),
        (" 1.5e3 kib ", "file_bytes", 1.5e3 * 1024),
        (".5s", "latency_ms", 500.0),
        ("3mJ", "energy_mj", 3.0),
        ("2MiB-activations", "activation_bytes", 2 * 1024 * 1024),
        ("4.bpw", "bits_per_weight", 4.0),
    ],
)
def test_reads(text, metric, limit):
    budget = Budget.parse(text)
    assert (budget.metric, budget.limit) == (metric, limit)
    assert str(budget) == text.strip()


@given(value=POSITIVE, unit=st.sampled_from(sorted(UNITS)), space=st.sampled_from(["", " "]),
       case=st.sampled_from([str, str.lower, str.upper]))
def test_reads_every_number_and_unit_in_any_case(value, unit, space, case):
    metric, factor = UNITS[unit]
    budget = Budget.parse(f"{value!r}{space}{case(unit)}")
    assert budget.metric == metric
    assert budget.limit == value * factor


@given(value=POSITIVE, unit=st.sampled_from(sorted(UNITS)))
def test_reading_its_own_text_gives_the_same_budget(value, unit):
    budget = Budget.parse(f"{value!r}{unit}")
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("text", ["", "bpw", "4.5", "4.5 apples", "-3bpw", "0bpw", "0.0MiB",
                                  "1e999MB", "nan bpw", "inf ms", "4,5bpw", "4bpw 3bpw", "0x10B",
                                  "2MiB activations", "2bpw-activations",
                                  "2-activations", "2MiB-"])
def test_refuses_in_one_line_that_shows_the_input_and_a_cure(text):
    with pytest.raises(BadInput) as caught:
        Budget.parse(text)
    message = str(caught.value)
    assert f"'{text}'" in message
    assert "4.5bpw" in message
    assert "\n" not in message


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        budget = Budget.parse(text)
    except BadInput:
        return
    assert 0 < budget.limit < math.inf
