"""How a search is to go: plain data, quick to import."""

from __future__ import annotations

from dataclasses import dataclass

from mpsearch.core.errors import BadInput, UnknownName

LOOP_NAME = "loop"
SAMPLERS = (LOOP_NAME, "tpe", "nsga2", "nsga3", "random")
"""What may propose: the loop, or a sampler of Optuna's in the raw space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """How a search goes: *trials* in all, judged on *samples*, kept in *storage* under *study*.

    *sampler* is ``loop``, or one of Optuna's in the raw space of one scheme a group (``tpe``,
    ``nsga2``, ``nsga3``, ``random``). With *race* a hopeless trial ends early. Without a storage,
    a journal in the workspace; without a study, one named after all that it depends on.

    Raises:
        BadInput: no trials, or an unknown sampler.
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
