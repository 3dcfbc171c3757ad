"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsearch.report.units import (
    human_bops,
    human_bytes,
    human_metric,
    number,
    percent,
    with_error,
)

STEPS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


@pytest.mark.parametrize(("count", "text"), [
    (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536, "1.50 KiB"),
    (1023.4 * 1024, "1023 KiB"), (1023.6 * 1024, "1.00 MiB"), (12 * 1024**2, "12.0 MiB"),
    (5 * 1024**3, "5.00 GiB"), (3000 * 1024**4, "3000 TiB"), (-1536, "-1.50 KiB"),
])
def test_bytes(count, text):
    assert human_bytes(count) == text


@given(st.integers(0, 2**50))
def test_bytes_lose_less_than_one_percent(count):
    value, unit = human_bytes(count).split()
    assert float(value) * STEPS[unit] == pytest.approx(count, rel=0.006)
    assert len(value.replace(".", "")) <= 4


@given(st.integers(0, 2**50), st.integers(0, 2**50))
def test_bytes_keep_the_order(one, other):
    def back(count):
        value, unit = human_bytes(count).split()
        return float(value) * STEPS[unit]

    small, large = sorted((one, other))
    assert back(small) <= back(large)


def test_bops_count_in_thousands():
    assert human_bops(999) == "999 BOPs"
    assert human_bops(5.2341e9) == "5.23 GBOPs"


@pytest.mark.parametrize(("metric", "value", "text"), [
    ("bits_per_weight", 4.49876, "4.499 bits"), ("file_bytes", 2048, "2.00 KiB"),
    ("bops", 1e6, "1.00 MBOPs"), ("latency_ms", 8.1234, "8.12 ms"),
    ("energy_mj", 3.1, "3.1 mJ"), ("energy_mj", 0.0123, "12.3 uJ"), ("energy_mj", 2500.0, "2.5 J"),
    ("energy_mj", 0.0, "0 uJ"), ("activation_bytes", 2048, "2.00 KiB"),
])
def test_each_metric_has_its_unit(metric, value, text):
    assert human_metric(metric, value) == text


def test_missing_numbers_are_a_dash():
    assert number(None) == percent(None) == "-"
    assert number(0.123456) == "0.1235"
    assert percent(0.8251) == "82.5 %"
    assert percent(0.8251, 0.0113) == "82.5 ± 1.1 %"


@pytest.mark.parametrize(("value", "stderr", "text"), [
    (0.24831, 0.01234, "0.248 ± 0.012"), (1.5, 0.25, "1.50 ± 0.25"), (1234.5, 67.8, "1234 ± 68"),
    (3.21e-7, 1.5e-8, "3.21e-07 ± 1.5e-08"), (0.5, 0.0, "0.5"), (0.0, 0.0, "0"),
    (0.5, math.nan, "0.5"), (2e6, 1e5, "2e+06 ± 1e+05"),
])
def test_a_value_has_the_digits_its_error_allows(value, stderr, text):
    assert with_error(value, stderr) == text
