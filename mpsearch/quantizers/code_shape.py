"""The shape in which codes come."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch.core.formats import Format


def code_shape(fmt: Format, shape: Sequence[int]) -> tuple[int, ...]:
    """That of a weight of this *shape* in *fmt*: its own, or rows where codes are fewer."""
    return tuple(shape) if fmt.numberwise else fmt.codes(tuple(shape))
