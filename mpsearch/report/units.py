"""Numbers as people read them: three significant digits and a unit."""

from __future__ import annotations

import math

from mpsearch.core.budget import Metric

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_BOPS = ("BOPs", "kBOPs", "MBOPs", "GBOPs", "TBOPs")
_ENERGY = (("J", 1e3), ("mJ", 1.0), ("uJ", 1e-3))
_PLAIN = (-5, 3)
NOTHING = "-"
"""What a table shows where there is no number."""


def human_bytes(count: float) -> str:
    """A number of bytes in the unit that keeps it short: ``1.34 MiB``."""
    return _scaled(count, 1024, _BYTES)


def human_bops(count: float) -> str:
    """A number of bit operations: ``5.02 GBOPs``."""
    return _scaled(count, 1000, _BOPS)


def human_metric(metric: Metric, value: float) -> str:
    """A value of a budget's *metric*, in the metric's own unit, with that unit."""
    if metric in {"file_bytes", "activation_bytes"}:
        return human_bytes(value)
    if metric == "bops":
        return human_bops(value)
    if metric == "energy_mj":
        return human_energy(value)
    return f"{value:.3f} bits" if metric == "bits_per_weight" else f"{value:.3g} ms"


def human_energy(millijoules: float) -> str:
    """An energy in the unit that keeps it short: ``3.20 mJ``, ``14.0 uJ``."""
    unit, size = next((each for each in _ENERGY if abs(millijoules) >= each[1]), _ENERGY[-1])
    return f"{millijoules / size:.3g} {unit}"


def number(value: float | None) -> str:
    """Four significant digits, or a dash where there is no value."""
    return NOTHING if value is None else f"{value:.4g}"


def percent(share: float | None, stderr: float | None = None) -> str:
    """A share of one in percent, with its standard error where there is one."""
    if share is None:
        return NOTHING
    spread = "" if stderr is None else f" ± {100 * stderr:.1f}"
    return f"{100 * share:.1f}{spread} %"


def with_error(value: float, stderr: float) -> str:
    """A value and its standard error, the value rounded to the error's second digit."""
    if not (math.isfinite(stderr) and stderr > 0):
        return number(value)
    exponent = math.floor(math.log10(stderr)) - 1
    if not _PLAIN[0] <= exponent <= _PLAIN[1]:
        return f"{value:.3g} ± {stderr:.2g}"
    digits = max(0, -exponent)
    return f"{value:.{digits}f} ± {stderr:.{digits}f}"


def _scaled(count: float, step: int, names: tuple[str, ...]) -> str:
    """*count* with three significant digits in the largest unit that keeps it at 1 or more."""
    value, power = abs(count), 0
    # 1023.96 would print as 1024: the comparison is with what three or four digits can show
    while round(value) >= step and power < len(names) - 1:
        value, power = value / step, power + 1
    decimals = 0 if power == 0 else max(0, 2 - math.floor(math.log10(max(value, 1))))
    sign = "-" if count < 0 else ""
    return f"{sign}{value:.{decimals}f} {names[power]}"
