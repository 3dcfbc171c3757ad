"""What an allocator answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PROOF = 1e-9
"""Relative difference of objective and bound, above what no choice can avoid: "optimal"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A choice that keeps to every limit, and what is proven about it.

    *choice* is a candidate index a group. *objective* is its total loss and *bound* a proven
    lower bound on the total loss of every choice within the limits; *status* is ``optimal`` only
    where the two meet. *costs* are the totals it spends, one a metric. *note* says for people
    what the allocator could not do itself; mostly it is empty.
    """

    choice: tuple[int, ...]
    objective: float
    bound: float
    status: Literal["optimal", "feasible"]
    costs: tuple[float, ...]
    note: str = ""
