"""What no quantizer of a rate can beat: Shannon's lower bound on the mean squared error.

For a source of density p with differential entropy h, in bits, D(R) >= 2**(2h - 2R) / (2 pi e); for
a Gaussian it is reached (Cover and Thomas, Elements of Information Theory, section 10.3).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np


@cache
def offset(name):
    """log2 of the bound's relative error at rate 0: 0 for a Gaussian, else below."""
    entropy, power = _SOURCES[name]()
    return (2 * entropy - math.log2(2 * math.pi * math.e * power)) if power else None


def bits_above(name, rate, error):
    """By how many bits a quantizer of relative *error* at *rate* is above the bound."""
    return rate - (offset(name) - math.log2(error)) / 2


def decibels_above(name, rate, error):
    """The same as a ratio of errors, in decibels."""
    return 10 * math.log10(error) - 10 * (offset(name) - 2 * rate) * math.log10(2)


def _gaussian():
    return math.log2(2 * math.pi * math.e) / 2, 1.0


def _laplace():
    return math.log2(2 * math.e), 2.0


def _half_normal():
    return math.log2(2 * math.pi * math.e) / 2 - 1, 1.0


def _student(freedom=5):
    x = np.linspace(-400, 400, 8_000_001)
    constant = math.gamma((freedom + 1) / 2) / (
        math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    p = constant * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    step = x[1] - x[0]
    return float(-(p * np.log2(p)).sum() * step), freedom / (freedom - 2)


def _softmax(deviation=2.0):
    """A log-normal, which softmax values over many places are: exp(N(-s**2 / 2, s**2)) / places."""
    s = deviation
    mean = -s * s / 2
    return mean / math.log(2) + math.log2(s * math.sqrt(2 * math.pi * math.e)), math.exp(
        2 * mean + 2 * s * s)


_SOURCES = {"gaussian": _gaussian, "laplace": _laplace, "student": _student,
            "half-normal": _half_normal, "softmax": _softmax}
