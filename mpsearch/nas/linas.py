"""A search by predictor in the raw space, as LINAS and SimQ-NAS do it. A baseline.

A population is measured, a predictor of the loss fitted on all that was measured, thousands of
choices are predicted by an evolutionary search, the best is measured, and so on (Cummings et al.,
A Hardware-Aware Framework for Accelerating Neural Architecture Search Across Modalities, 2022;
Nittur Sridhar et al., SimQ-NAS, 2023). Costs need no predictor here. Of a front, each trial
has limits of its own, and so comes to a point of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from optuna.trial import Trial

from mpsearch.nas.evolution import Predict, evolved, excess, scattered
from mpsearch.nas.landscape import Choice, Floats, Integers, Landscape
from mpsearch.nas.moves import fresh
from mpsearch.nas.proposals import Proposal
from mpsearch.nas.state import State

_ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0)
_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Linas:
    """At first a *population* of random choices, then the one that ridge regression predicts best.

    The regression is of the logarithm of the loss on one indicator for each scheme of each group,
    and its penalty is the one of least error in leave-one-out cross-validation.
    """

    population: int = 24

    def __call__(self, state: State, trial: Trial) -> Choice | None:
        """As `Proposal` says."""
        del trial
        if len(state.choices) < self.population:
            found = _random(state.landscape, state.rng)
        else:
            inside = np.argsort(excess(state.landscape, state.choices), kind="stable")
            found = evolved(state.landscape, _regression(state), state.rng,
                            state.choices[inside[:self.population]])
        new = fresh(found, set(state.taken))
        return tuple(new[0].tolist()) if len(new) else None


def _random(landscape: Landscape, rng: np.random.Generator) -> Integers:
    """Random choices within the limits."""
    found = scattered(landscape, rng, _DRAWS)
    kept: Integers = found[landscape.within(found)]
    return kept


def _regression(state: State) -> Predict:
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(alphas=_ALPHAS).fit(_indicators(state.landscape, state.choices), state.logs)

    def predict(choices: Integers) -> Floats:
        return np.asarray(model.predict(_indicators(state.landscape, choices)))
    return predict


def _indicators(landscape: Landscape, choices: Integers) -> Floats:
    """[N, groups * schemes]: 1 for each scheme that is chosen."""
    schemes = np.arange(int(landscape.sizes.max()))
    chosen: Floats = (choices[:, :, None] == schemes).astype(np.float64)
    return chosen.reshape(len(choices), -1)


LINAS: tuple[tuple[str, Proposal], ...] = (("linas", Linas()),)
"""What tickets propose by in this baseline."""
