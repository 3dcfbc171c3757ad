"""Predictions of the measured loss of a choice: what is left over the sum of its scores."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mpsearch.nas.features import features
from mpsearch.nas.landscape import Floats, Integers, Landscape
from mpsearch.nas.residual import fitted, line, weight_of

_TINY = 1e-300
_FEWEST = 8
"""Measurements below which nothing is fitted on features."""


class Prediction(Protocol):
    """Mean and standard deviation of log loss of choices [N, groups]."""

    def predict(self, choices: Integers) -> tuple[Floats, Floats]:
        """Both [N]."""
        ...


class Predictor(Protocol):
    """Makes a `Prediction` from measured choices."""

    def __call__(self, landscape: Landscape, choices: Integers, logs: Floats) -> Prediction:
        """From logarithms of measured losses *logs* [N] of *choices* [N, groups]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Scores that are corrected one by one, as Gaussian unknowns: see `mpsearch.nas.residual`."""

    def __call__(self, landscape: Landscape, choices: Integers, logs: Floats) -> Prediction:
        """As `Predictor` says."""
        return fitted(landscape, choices, logs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Additive:
    """The scores as they are, on the straight line that measured losses lie along."""

    def __call__(self, landscape: Landscape, choices: Integers, logs: Floats) -> Prediction:
        """As `Predictor` says."""
        return _Regression(landscape=landscape, choices=choices, logs=logs, model=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """Bayesian ridge regression of the residual on features (MacKay, Neural Comput. 4, 1992)."""

    def __call__(self, landscape: Landscape, choices: Integers, logs: Floats) -> Prediction:
        """As `Predictor` says."""
        from sklearn.linear_model import BayesianRidge

        return _Regression(landscape=landscape, choices=choices, logs=logs, model=BayesianRidge())


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianProcess:
    """A Gaussian process over features, of one length scale (Rasmussen and Williams, 2006)."""

    def __call__(self, landscape: Landscape, choices: Integers, logs: Floats) -> Prediction:
        """As `Predictor` says."""
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        kernel = ConstantKernel(1.0) * RBF(5.0) + WhiteKernel(0.1)
        return _Regression(landscape=landscape, choices=choices, logs=logs,
                           model=GaussianProcessRegressor(kernel=kernel, normalize_y=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedTrees:
    """Gradient-boosted trees over features (Friedman, Annals of Statistics 29, 2001)."""

    trees: int = 100

    def __call__(self, landscape: Landscape, choices: Integers, logs: Floats) -> Prediction:
        """As `Predictor` says."""
        from sklearn.ensemble import GradientBoostingRegressor

        model = GradientBoostingRegressor(n_estimators=self.trees, max_depth=3, subsample=0.7,
                                          random_state=0)
        return _Regression(landscape=landscape, choices=choices, logs=logs, model=model)


class _Regression:
    """A scikit-learn *model* of what the line over the additive loss leaves; none leaves it so."""

    def __init__(self, *, landscape: Landscape, choices: Integers, logs: Floats,
                 model: Any) -> None:
        self._landscape = landscape
        self._weight = weight_of(landscape, choices, logs)
        base = self._base(choices)
        self._line = line(base, logs)
        left = logs - self._line[0] - self._line[1] * base
        self._model = model if len(logs) >= _FEWEST else None
        self._spread = float(np.sqrt(np.mean(left**2))) + 1e-3
        if self._model is not None:
            x = features(landscape, choices)
            self._centre, self._scale = x.mean(0), x.std(0) + 1e-9
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a length scale at its bound is no news
                self._model.fit(self._scaled(choices), left)
            self._spread = float(np.sqrt(np.mean(
                (left - self._model.predict(self._scaled(choices)))**2))) + 1e-3

    def predict(self, choices: Integers) -> tuple[Floats, Floats]:
        """As `Prediction` says; trees know no deviation of their own."""
        mean = self._line[0] + self._line[1] * self._base(choices)
        spread = np.full(len(choices), self._spread)
        if self._model is None:
            return mean, spread
        x = self._scaled(choices)
        try:
            left, own = self._model.predict(x, return_std=True)
        except TypeError:
            left, own = self._model.predict(x), spread
        return mean + left, np.maximum(own, 1e-6)

    def _base(self, choices: Integers) -> Floats:
        return np.log(np.maximum(self._landscape.additive(choices, self._weight), _TINY))

    def _scaled(self, choices: Integers) -> Floats:
        found: Floats = (features(self._landscape, choices) - self._centre) / self._scale
        return found


def errors(predictors: Mapping[str, Predictor], landscape: Landscape, choices: Integers,
           logs: Floats, *, folds: int = 3) -> dict[str, float]:
    """Root mean square error of log loss on measurements held out, by predictor.

    Measurement i is in fold i modulo *folds*.
    """
    fold = np.arange(len(logs)) % folds
    found = {}
    for name, predictor in predictors.items():
        squares = []
        for held in range(min(folds, len(logs))):
            known = fold != held
            made = predictor(landscape, choices[known], logs[known])
            squares.append((made.predict(choices[~known])[0] - logs[~known])**2)
        found[name] = float(np.sqrt(np.concatenate(squares).mean()))
    return found
