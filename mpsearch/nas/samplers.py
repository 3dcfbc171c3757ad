"""Samplers of Optuna, seeded for each trial by its ticket: a study resumes to the same end."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mpsearch.core.errors import UnknownName
from mpsearch.nas.record import TICKET
from mpsearch.nas.tickets import holders

Seen = Callable[[FrozenTrial], FrozenTrial]
_SEEDS = 1 << 32
_STRIDE = 1_000_003
_POPULATION = 24


def _nsga3(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.NSGAIIISampler(seed=seed, population_size=_POPULATION)


MAKERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=_POPULATION),
    "nsga3": _nsga3,
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
"""Samplers of Optuna by name, from a seed."""


def maker(name: str) -> Callable[[int], BaseSampler]:
    """The sampler called *name*.

    Raises:
        UnknownName: there is none.
    """
    if name not in MAKERS:
        raise UnknownName("sampler", name, list(MAKERS))
    return MAKERS[name]


class Seeded(BaseSampler):
    """A sampler that is made anew for every trial, seeded by *seed* and the trial's ticket.

    It sees of every other trial what *seen* makes of it.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int,
                 seen: Seen = lambda trial: trial) -> None:
        self._make, self._seed, self._seen = make, seed, seen

    def infer_relative_search_space(self, study: Study,
                                    trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler does."""
        return self._for(trial).infer_relative_search_space(by_ticket(study, self._seen), trial)

    def sample_relative(self, study: Study, trial: FrozenTrial,
                        search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """As the sampler does."""
        return self._for(trial).sample_relative(by_ticket(study, self._seen), trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str,
                           param_distribution: BaseDistribution) -> Any:
        """As the sampler does; every parameter has a seed of its own."""
        return self._for(trial, param_name).sample_independent(
            by_ticket(study, self._seen), trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState,
                    values: Sequence[float] | None) -> None:
        """As the sampler does."""
        self._for(trial).after_trial(study, trial, state, values)

    def _for(self, trial: FrozenTrial, salt: str = "") -> BaseSampler:
        ticket = int(trial.user_attrs.get(TICKET, trial.number))
        own = sum(ord(letter) * 31**place for place, letter in enumerate(salt))
        return self._make((self._seed * _STRIDE + ticket + own) % _SEEDS)


class _ByTicket(Study):
    """A study whose trials are numbered by their tickets, without the void ones."""

    seen: Seen

    def _get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None,
                    use_cache: bool = False) -> list[FrozenTrial]:
        found = super()._get_trials(deepcopy, None, use_cache)
        held = sorted(holders(found).items())
        return [self.seen(_numbered(trial, ticket)) for ticket, trial in held
                if states is None or trial.state in states]


def by_ticket(study: Study, seen: Seen) -> Study:
    """*study* as if no trial had ever been given out anew, for a sampler that goes by numbers.

    Of each trial the sampler is shown what *seen* makes of it.
    """
    view = _ByTicket.__new__(_ByTicket)
    view.__dict__.update(study.__dict__)
    view.seen = seen
    return view


def _numbered(trial: FrozenTrial, number: int) -> FrozenTrial:
    if trial.number == number:
        return trial
    found = copy.copy(trial)
    found.number = number
    return found
