"""The quantizer of a format, from this package or an installed one."""

from __future__ import annotations

from typing import Any

from mpsearch import plugins
from mpsearch.core.formats import Format
from mpsearch.quantizers.base import Quantizer


def quantizer_of(fmt: Format) -> Quantizer[Any]:
    """The quantizer registered for the kind of *fmt*."""
    quantizer: Quantizer[Any] = plugins.load("quantizer", fmt.kind)()
    return quantizer
