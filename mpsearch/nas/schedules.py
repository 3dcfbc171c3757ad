"""What proposes, by the name of a sampler: the loop, and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpsearch.nas.landscape import Landscape
from mpsearch.nas.linas import LINAS
from mpsearch.nas.loop import LOOP
from mpsearch.nas.proposals import Proposal, Swap
from mpsearch.nas.raw import RAW, seen_of
from mpsearch.nas.samplers import Seeded, maker

Schedule = Sequence[tuple[str, Proposal]]
_OWN: Mapping[str, Schedule] = {"loop": LOOP, "linas": LINAS, "swaps": (("swap", Swap()),)}


def schedule(sampler: str) -> Schedule:
    """What tickets propose by in turn; samplers of Optuna's choose in the raw space."""
    return _OWN.get(sampler, RAW)


def seeded(sampler: str, landscape: Landscape, seed: int) -> Seeded:
    """The sampler of Optuna's that *sampler* is, or that chooses parameters of its proposals.

    Raises:
        UnknownName: there is none.
    """
    if sampler in _OWN:
        return Seeded(maker("tpe"), seed)
    return Seeded(maker(sampler), seed, seen_of(landscape))
