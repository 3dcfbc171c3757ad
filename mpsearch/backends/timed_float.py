"""The float model, offered for timing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpsearch.backends.timing import Offer, Place, float_offer
from mpsearch.core.errors import Unsupported
from mpsearch.core.types import Scheme
from mpsearch.core.version import version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatTimes:
    """Every operation as the captured model runs it, nothing quantized."""

    @property
    def fusions(self) -> tuple[str, ...]:
        """None: each operation of the graph runs alone."""
        return ()

    @property
    def packed(self) -> bool:
        """No: weights are read in float."""
        return False

    def versions(self) -> Mapping[str, str]:
        """The tensor library's."""
        return {"torch": version_of("torch")}

    def offer(self, place: Place, scheme: Scheme) -> Offer:
        """The operation in float.

        Raises:
            Unsupported: a scheme that quantizes something.
        """
        if not scheme.is_float:
            raise Unsupported(f"the float model runs nothing at {scheme}")
        return float_offer(place)
