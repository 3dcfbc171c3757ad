"""The shape in which codes come."""

from __future__ import annotations

from collections.abc import Sequence

from mpsearch.core.formats import Format, rows_of


def code_shape(fmt: Format, shape: Sequence[int]) -> tuple[int, ...]:
    """That of a weight of this *shape* in *fmt*: its own, or rows where codes are fewer."""
    own = fmt.codes(tuple(shape))
    return tuple(shape) if own == rows_of(tuple(shape)) else own
