"""What a policy leaves out of a network, in a few words."""

from __future__ import annotations

from collections.abc import Mapping

SKIPPED = "skip"
_SHOWN = 3


def in_short(left: Mapping[str, str]) -> str:
    """What is left out of which branches: those that are skipped by name, the others counted."""
    skipped = [branch for branch, what in left.items() if what == SKIPPED]
    narrowed = len(left) - len(skipped)
    names = skipped if len(skipped) <= _SHOWN else [*skipped[:_SHOWN - 1],
                                                    f"{len(skipped) - _SHOWN + 1} more"]
    return "; ".join((["skips " + ", ".join(names)] if skipped else [])
                     + ([f"narrows {narrowed}"] if narrowed else [])) or "nothing"
