"""The raw space: one parameter a group, for Optuna's own samplers. A baseline."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.trial import Trial

from mpsearch.nas.landscape import Choice
from mpsearch.nas.proposals import Proposal
from mpsearch.nas.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A scheme for every group as Optuna's sampler says; beyond a limit, as constraints tell it.

    A choice that breaks a limit is measured like any other and can never be the answer.
    """

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        problem = state.landscape.problem
        choice = tuple(trial.suggest_int(f"group.{name}", 0, int(size) - 1) for name, size in
                       zip(problem.groups, state.landscape.sizes, strict=True))
        for metric, limit, spent in zip(problem.metrics, problem.limits, problem.spent(choice),
                                        strict=True):
            trial.set_constraint(metric, spent / limit - 1 if limit else spent)
        return choice


RAW: tuple[tuple[str, Proposal], ...] = (("raw", Raw()),)
"""What tickets propose by where there is no loop."""
