"""Budgets as people write them: ``4.5bpw``, ``12MiB``, ``5GBOPs``, ``8ms``, ``3mJ``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, Self

from mpsearch.core.errors import BadInput

Metric = Literal["bits_per_weight", "file_bytes", "bops", "latency_ms", "energy_mj",
                 "activation_bytes"]
NEEDS_DEVICE: frozenset[Metric] = frozenset({"latency_ms"})
"""What no budget can limit without times of a device."""
NEEDS_FLOW: frozenset[Metric] = frozenset({"latency_ms", "energy_mj", "activation_bytes"})
"""What is summed over all that runs, not over the quantisable layers alone."""


_BYTES = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_UNITS: dict[str, tuple[Metric, float]] = {
    "bpw": ("bits_per_weight", 1),
    **{unit: ("file_bytes", size) for unit, size in _BYTES.items()},
    **{f"{unit}-activations": ("activation_bytes", size) for unit, size in _BYTES.items()},
    "bops": ("bops", 1),
    "kbops": ("bops", 1e3),
    "mbops": ("bops", 1e6),
    "gbops": ("bops", 1e9),
    "tbops": ("bops", 1e12),
    "us": ("latency_ms", 1e-3),
    "ms": ("latency_ms", 1),
    "s": ("latency_ms", 1e3),
    "uj": ("energy_mj", 1e-3),
    "mj": ("energy_mj", 1),
    "j": ("energy_mj", 1e3),
}
_TEXT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*"
                   r"([A-Za-z]+(?:-[A-Za-z]+)?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """An upper limit on one metric, in its own unit (bits a weight, bytes, BOPs, ms, mJ)."""

    metric: Metric
    limit: float
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a number and its unit; units are not case sensitive, KiB is 1024 and KB 1000.

        Raises:
            BadInput: no number, an unknown unit, or a limit that is not above zero.
        """
        match = _TEXT.fullmatch(text)
        unit = _UNITS.get(match[2].lower()) if match else None
        limit = float(match[1]) * unit[1] if match and unit else math.nan
        if unit is None or not 0 < limit < math.inf:
            raise BadInput(
                f"cannot read the budget '{text}': write a positive number and a unit, "
                "such as 4.5bpw, 12MiB, 5GBOPs, 8ms, 3mJ or 2MiB-activations"
            )
        return cls(metric=unit[0], limit=limit, text=text.strip())

    def __str__(self) -> str:
        return self.text
