"""From a score to what a policy loses: a monotone correction fitted on a few measured policies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpsearch.core.types import Evaluation, Prediction
from mpsearch.core.version import version_of
from mpsearch.steps.accuracy import AccuracyLoss, fit_accuracy
from mpsearch.steps.choice import Choice, runnable
from mpsearch.steps.curve import Curve
from mpsearch.steps.measure import ProgressBar
from mpsearch.steps.measurement import Measurement, measure_policies
from mpsearch.steps.request import DEFAULT_POLICIES, FEWEST_POLICIES
from mpsearch.steps.session import Session
from mpsearch.workspace import Workspace, digest

Vector = NDArray[np.float64]
_POINTS = 25
_CLEARLY = 2.0  # how many times better a bend must predict to be believed
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """KL and accuracy loss as functions of the score, from measured policies.

    ``log KL`` is a polynomial in ``log score`` (*coefficients*, highest power first), of degree 1
    or 2 where that predicts a left-out policy clearly better, and increasing where it was fitted.
    *spread* is the standard error of its residuals, a 95 % interval reaches *quantile* of them to
    each side, and *noise* is the relative standard error that the choice of samples gives to a
    measured KL. *accuracy* goes on from KL to the fall of accuracy; None without labels.
    """

    coefficients: tuple[float, ...]
    scores: tuple[float, ...]
    spread: float
    noise: float
    quantile: float
    samples: int
    accuracy: AccuracyLoss | None

    def predict(self, score: float, samples: int) -> Prediction:
        """What a policy of this *score* loses, with 95 % prediction intervals.

        The intervals are those of a mean over *samples* new samples.
        """
        x = math.log(max(score, _TINY))
        xs = np.log(self.scores)
        value = float(np.polyval(self.coefficients, float(np.clip(x, xs.min(), xs.max()))))
        value += self._slope(x, xs)
        around = max(float(((xs - xs.mean()) ** 2).sum()), _TINY)
        leverage = 1 + 1 / len(xs) + (x - xs.mean()) ** 2 / around
        sampled = self.noise**2 * (1 + self.samples / samples)
        half = math.sqrt((self.quantile * self.spread) ** 2 * leverage + 1.96**2 * sampled)
        kl, low, high = (math.exp(value + sign * half) for sign in (0, -1, 1))
        return Prediction(kl=kl, kl_low=low, kl_high=high, policies=len(xs), samples=self.samples,
                          **self._loss(kl, low, high, samples))

    def _slope(self, x: float, xs: Vector) -> float:
        """How much to add beyond the fitted range: on along the chord, never back down."""
        ends = np.polyval(self.coefficients, [xs.min(), xs.max()])
        slope = max(0.0, float(ends[1] - ends[0]) / max(float(xs.max() - xs.min()), _TINY))
        return slope * (x - float(np.clip(x, xs.min(), xs.max())))

    def _loss(self, kl: float, low: float, high: float, samples: int) -> dict[str, float]:
        if self.accuracy is None:
            return {}
        ends = self.accuracy.interval(kl, low, high, samples)
        return {"accuracy_loss": self.accuracy(kl), "accuracy_loss_low": ends[0],
                "accuracy_loss_high": ends[1]}


def fit(scores: Sequence[float], found: Sequence[Evaluation]) -> Correction | None:
    """The correction of policies with these *scores* and measurements; None if too few lose."""
    from scipy import stats  # late: it takes longer to import than to answer from tables

    pairs = [(score, each) for score, each in zip(scores, found, strict=True)
             if score > _TINY and each.kl > _TINY]
    if len(pairs) < FEWEST_POLICIES or len({score for score, _ in pairs}) < FEWEST_POLICIES:
        return None
    x = np.log([score for score, _ in pairs])
    y = np.log([each.kl for _, each in pairs])
    chosen = len(pairs) > FEWEST_POLICIES
    degree = 2 if chosen and _CLEARLY * _left_out(x, y, 2) < _left_out(x, y, 1) else 1
    coefficients = np.polyfit(x, y, degree)
    if not _increasing(coefficients, x):
        degree, coefficients = 1, np.polyfit(x, y, 1)
    if coefficients[0] <= 0 and degree == 1:  # the score says nothing: one value for all
        coefficients = np.array([0.0, y.mean()])
    freedom = len(pairs) - degree - 1 - chosen / 2  # choosing the degree fits the residuals too
    residual = y - np.polyval(coefficients, x)
    return Correction(
        coefficients=tuple(coefficients.tolist()), scores=tuple(score for score, _ in pairs),
        spread=float(np.sqrt((residual**2).sum() / freedom)),
        quantile=float(stats.t.ppf(0.975, freedom)),
        noise=float(np.median([each.kl_stderr / each.kl for _, each in pairs])),
        samples=pairs[0][1].samples,
        accuracy=fit_accuracy([each.kl for _, each in pairs], [each for _, each in pairs]))


def _left_out(x: Vector, y: Vector, degree: int) -> float:
    """Mean squared error for a policy that the fit has not seen."""
    errors = []
    for i in range(len(x)):
        kept = np.arange(len(x)) != i
        coefficients = np.polyfit(x[kept], y[kept], degree)
        errors.append((np.polyval(coefficients, x[i]) - y[i]) ** 2)
    return float(np.mean(errors))


def _increasing(coefficients: Vector, x: Vector) -> bool:
    slope = np.polyval(np.polyder(coefficients), np.linspace(x.min(), x.max(), 50))
    return bool((slope > 0).all())


def correct(session: Session, curve: Curve, progress: ProgressBar,
            policies: int = DEFAULT_POLICIES) -> Correction | None:
    """Measure so many policies, spread over the front, on the calibration data, and fit.

    They are evenly spaced in the logarithm of the score; held-out data is not touched. What was
    measured, and fitted, for one budget serves all others.
    """
    chosen = _spread(curve, policies)
    runs = {str(number): runnable(curve.measured, choice) for number, choice in enumerate(chosen)}
    found: dict[str, Measurement] = measure_policies(session, runs, progress, split="calibration")
    return _fitted(session.workspace, [curve.losses.predict(choice) for choice in chosen],
                   [found[str(number)].evaluation for number in range(len(chosen))])


def _fitted(workspace: Workspace, scores: Sequence[float],
            found: Sequence[Evaluation]) -> Correction | None:
    """What `fit` makes of these, taken from the *workspace* where it was made before."""
    key = digest({"version": version_of("mpsearch"), "scores": list(scores),
                  "found": list(found)})
    known = workspace.load("corrections", key, Correction)
    if known is not None:
        return known
    made = fit(scores, found)
    if made is not None:
        workspace.save("corrections", key, made)
    return made


def _spread(curve: Curve, policies: int) -> list[Choice]:
    solved = [(curve.losses.predict(choice), choice) for choice in curve.solve(_POINTS)]
    known = sorted((math.log(score), choice) for score, choice in solved if score > _TINY)
    if not known:
        return []
    low, high = known[0][0], known[-1][0]
    targets = [low + (high - low) * (i + 0.5) / policies for i in range(policies)]
    picked = [min(known, key=lambda each: abs(each[0] - target))[1] for target in targets]
    return list(dict.fromkeys(picked))
