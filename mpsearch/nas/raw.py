"""The raw space: one parameter a group, for Optuna's own samplers. A baseline."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, Trial

from mpsearch.allocation.problem import Problem
from mpsearch.nas.landscape import Choice, Landscape
from mpsearch.nas.proposals import Proposal
from mpsearch.nas.record import CHOICE, unpacked_choice
from mpsearch.nas.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A scheme for every group as Optuna's sampler says; beyond a limit, as constraints tell it.

    A choice that breaks a limit is measured like any other and can never be the answer. The limits
    are those of the search, also where it is one for a front.
    """

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        problem = state.whole.problem
        choice = tuple(trial.suggest_int(_parameter(name), 0, size - 1) for name, size in
                       zip(problem.groups, problem.sizes, strict=True))
        for metric, value in _constraints(problem, choice).items():
            trial.set_constraint(metric, value)
        return choice


def seen_of(landscape: Landscape) -> Callable[[FrozenTrial], FrozenTrial]:
    """How a sampler is to see a trial whose choice was given: as if it had chosen that itself.

    Otherwise what a search begins with would tell it nothing, and where parameters are taken
    together (NSGA) one trial without any would leave none.
    """
    problem = landscape.problem
    space = {_parameter(name): IntDistribution(0, size - 1)
             for name, size in zip(problem.groups, problem.sizes, strict=True)}

    def seen(trial: FrozenTrial) -> FrozenTrial:
        if trial.params or CHOICE not in trial.user_attrs:
            return trial
        choice = unpacked_choice(trial.user_attrs[CHOICE])
        found = copy.copy(trial)
        found.distributions, found.params = dict(space), dict(zip(space, choice, strict=True))
        found.system_attrs = dict(trial.system_attrs)
        for metric, value in _constraints(problem, choice).items():
            if metric not in trial.constraints:
                found.set_constraint(metric, value)
        return found

    return seen


def _parameter(group: str) -> str:
    return f"group.{group}"


def _constraints(problem: Problem, choice: Choice) -> dict[str, float]:
    """By how much *choice* is above each limit, below 0 if it is not."""
    return {metric: spent / limit - 1 if limit else spent for metric, limit, spent in
            zip(problem.metrics, problem.limits, problem.spent(choice), strict=True)}


RAW: tuple[tuple[str, Proposal], ...] = (("raw", Raw()),)
"""What tickets propose by where there is no loop."""
