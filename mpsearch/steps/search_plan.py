"""How a search is to go: plain data, quick to import."""

from __future__ import annotations

from dataclasses import dataclass

from mpsearch.core.errors import BadInput, UnknownName
from mpsearch.nas.places import require_place

LOOP_NAME = "loop"
SAMPLERS = (LOOP_NAME, "swaps", "linas", "tpe", "nsga2", "nsga3", "random")
"""What may propose: the loop, or a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """How a search goes: *trials* in all, judged on *samples*, kept in *storage* under *study*.

    *sampler* is ``loop`` or a baseline: ``swaps`` (small changes to the best choice), ``linas`` (a
    predictor and an evolutionary search) or one of Optuna's (``tpe``, ``nsga2``, ``nsga3``,
    ``random``), the latter in the raw space of one scheme a group. *warm* begins with what the
    integer program chose, otherwise with uniform choices only. With *race* a hopeless trial ends
    early. Without a storage, a journal in the workspace; without a study, one named after all that
    it depends on.

    Raises:
        BadInput: no trials, an unknown sampler, or what names no storage.
    """

    trials: int = 300
    samples: int = 256
    sampler: str = LOOP_NAME
    race: bool = True
    warm: bool = True
    storage: str | None = None
    study: str | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise BadInput(f"a search needs at least one trial, not {self.trials}")
        if self.sampler not in SAMPLERS:
            raise UnknownName("sampler", self.sampler, list(SAMPLERS))
        if self.storage is not None:
            require_place(self.storage)
