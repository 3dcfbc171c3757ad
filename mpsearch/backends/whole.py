"""Networks of which nothing was taken out, which is all that some backends run."""

from __future__ import annotations

from collections.abc import Mapping

from mpsearch.core.errors import Unsupported
from mpsearch.core.types import Scheme


def require_whole(schemes: Mapping[str, Scheme], what: str) -> None:
    """Check that no scheme skips or narrows its branch, which *what* cannot do.

    Raises:
        Unsupported: one does; the message names its layer.
    """
    for layer, scheme in schemes.items():
        if scheme.keep is not None:
            raise Unsupported(f"layer '{layer}': {what} has no way yet to leave out parts of "
                              f"'{scheme.keep.branch}' ({scheme.keep}): use the simulated backend")
