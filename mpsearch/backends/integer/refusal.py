"""Refusals that say which layer they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpsearch.core.errors import Unsupported


@contextmanager
def of_layer(layer: str) -> Iterator[None]:
    """Inside the block, what kernels refuse is told with the *layer*'s name.

    Raises:
        Unsupported: something was refused.
    """
    try:
        yield
    except Unsupported as error:
        text = str(error)
        named = text if text.startswith("layer '") else f"layer '{layer}': {text}"
        raise Unsupported(named) from None
