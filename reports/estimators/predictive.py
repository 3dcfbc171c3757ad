"""How well scores predict measured losses: rank correlation and calibration with intervals."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

RESAMPLES = 300


def correlation(predicted, losses, seed=0, parts=None):
    """Spearman's rank correlation and its 95 % bootstrap interval over images.

    *losses* is [policies, images]. With *parts* (a label a policy) the mean of the correlations
    inside each part, so that what all parts differ by (their size) does not count.
    """
    losses = np.asarray(losses)
    generator = np.random.default_rng(seed)
    value = _within(predicted, losses.mean(1), parts)
    drawn = [_within(predicted, losses[:, generator.integers(0, losses.shape[1],
                                                             losses.shape[1])].mean(1), parts)
             for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": float(value), "low": float(low), "high": float(high)}


def _within(predicted, measured, parts):
    predicted = np.asarray(predicted)
    if parts is None:
        return _spearman(predicted, measured)
    parts = np.asarray(parts)
    return float(np.mean([_spearman(predicted[parts == part], measured[parts == part])
                          for part in np.unique(parts)]))


def _spearman(a, b):
    a, b = rankdata(a), rankdata(b)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def calibration(predicted, losses):
    """Median of predicted over measured, and the slope of log measured against log predicted."""
    predicted, measured = np.asarray(predicted), np.asarray(losses).mean(1)
    good = (predicted > 0) & (measured > 0)
    if good.sum() < 3:
        return {"ratio": None, "slope": None}
    x, y = np.log(predicted[good]), np.log(measured[good])
    slope = float(np.polyfit(x, y, 1)[0]) if x.std() > 0 else None
    return {"ratio": float(np.median(predicted[good] / measured[good])), "slope": slope}
