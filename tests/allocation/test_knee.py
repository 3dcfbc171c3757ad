"""The knee: furthest below the chord, whatever the units."""

import math

import pytest

from mpsearch.allocation.knee import knee


def test_the_corner_of_a_broken_line_is_its_knee():
    points = [(float(x), 10.0 ** -min(2 * x, 4 + 0.1 * (x - 2))) for x in range(8)]
    assert knee(points) == 2


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_units_do_not_move_it(scale, offset):
    points = [(x, math.exp(1 / (x + 0.2))) for x in (0.0, 0.3, 0.7, 1.0, 2.0, 5.0)]
    moved = [(offset + cost * scale, loss * scale) for cost, loss in points]
    # 1/(x + 0.2) falls from 5 to 0.19; its distance from the chord is largest at 0.7.
    assert knee(moved) == knee(points) == 2


def test_order_does_not_matter_and_zero_losses_are_left_out():
    points = [(4.0, 1e-3), (9.0, 0.0), (0.0, 1.0), (1.0, 2e-3)]
    assert knee(points) == 3


@pytest.mark.parametrize("points", [
    [], [(0.0, 1.0)], [(0.0, 1.0), (1.0, 0.1)],
    [(0.0, 1.0), (1.0, 0.1), (2.0, 0.01)],
    [(0.0, 1.0), (1.0, 0.9), (2.0, 0.01)],
    [(1.0, 1.0), (1.0, 0.5), (1.0, 0.1)],
    [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)],
])
def test_a_line_or_a_bulge_has_none(points):
    assert knee(points) is None
