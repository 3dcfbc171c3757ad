"""Calibrated ranges by layer, operand and format: plain data, no torch."""

from __future__ import annotations

from collections.abc import Mapping

from mpsearch.core.formats import Format
from mpsearch.core.types import StaticRange

Ranges = dict[str, dict[str, dict[str, StaticRange]]]
"""Range by layer, operand and format (as `range_key` writes it)."""


def range_key(fmt: Format) -> str:
    """Key of a static format inside `Ranges`."""
    return fmt.key


def chosen_ranges(ranges: Mapping[str, Mapping[str, Mapping[str, StaticRange]]],
                  layer: str, operands: Mapping[str, Format | None]) -> dict[str, StaticRange]:
    """The ranges of *layer* that a scheme's static *operands* need."""
    return {operand: ranges[layer][operand][range_key(fmt)] for operand, fmt in operands.items()
            if fmt is not None and fmt.calibrated}
