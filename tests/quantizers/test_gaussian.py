"""Least squares on normal numbers against the optimum by exact integration, and Max's table."""

from __future__ import annotations

from itertools import pairwise
from math import erf, exp, pi, sqrt

import pytest

from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.uniform import Uniform


def below(a):
    """Integrals of x**k times the normal density from minus infinity to *a*, k = 0, 1, 2."""
    if a == float("inf"):
        return 1.0, 0.0, 1.0
    density, mass = exp(-a * a / 2) / sqrt(2 * pi), (1 + erf(a / sqrt(2))) / 2
    return mass, -density, mass - a * density


def distortion(levels):
    """Mean squared error of a unit normal number rounded to the nearest of sorted *levels*."""
    edges = [(a + b) / 2 for a, b in pairwise(levels)] + [float("inf")]
    total, before = 0.0, (0.0, 0.0, 0.0)
    for level, edge in zip(levels, edges, strict=True):
        here = below(edge)
        mass, first, second = (b - a for a, b in zip(before, here, strict=True))
        total += second - 2 * level * first + level * level * mass
        before = here
    return total


def least(offset, count):
    """Least distortion of *count* levels (i - *offset*) * step over a fine grid of steps."""
    return min(distortion([(i - offset) * step / 500 for i in range(count)])
               for step in range(20, 900))


# J. Max, Quantizing for minimum distortion, IRE Trans. Inf. Theory 6 (1960), table II:
# equally spaced levels, symmetric about 0, none at 0 where their number is even
MAX_1960 = {4: 0.1188, 8: 0.03744, 16: 0.01154}


@pytest.mark.parametrize(("count", "published"), MAX_1960.items())
def test_the_integral_gives_the_published_optimum(count, published):
    assert least((count - 1) / 2, count) == pytest.approx(published, rel=1e-3)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_least_squares_reaches_the_optimum_for_normal_numbers(tensor, bits, symmetric):
    # A code for 0 costs a normal number something: of 2**bits levels one side has one more. So
    # the optimum here lies above Max's, and below that of the 2**bits - 1 that are symmetric.
    optimum = least(2 ** (bits - 1), 2**bits)
    assert MAX_1960[2**bits] < optimum < least(2 ** (bits - 1) - 1, 2**bits - 1)
    x = tensor("normal", (1, 1 << 18), 0)
    fmt = IntFormat(bits=bits, symmetric=symmetric)
    (params,) = Uniform().fit(x, [fmt])
    found = (fake_quantize(Uniform(), x, params, fmt) - x).square().mean() / x.square().mean()
    assert float(found) == pytest.approx(optimum, rel=0.01)
