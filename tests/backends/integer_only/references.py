"""What the integer operations compute, written again in Python's own integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction


def nearest(value):
    """The nearest whole number to a fraction, halves upwards."""
    return math.floor(Fraction(value) + Fraction(1, 2))


def shift_exp(distance, places, depth):
    """2**depth * 2**places * exp(-distance * 2**-places)."""
    t = min(distance + distance // 2 - distance // 16, depth * 2**places)
    whole, rest = divmod(t, 2**places)
    return math.floor(Fraction((2 * 2**places - rest) * 2**depth, 2**(whole + 1)))


def share(part, whole, bits):
    """Part / whole with a factor that is rounded down."""
    return nearest(Fraction(part * (2**62 // whole), 2**(63 - bits)))


def shiftmax(row, places, depth=15, bits=16):
    e = [shift_exp(max(row) - x, places, depth) for x in row]
    return [share(each, sum(e), bits) for each in e]


def times_1702(x):
    return x + x // 2 + x // 8 + x // 16 + x // 64


def shift_gelu(row, places, depth=23, bits=16):
    y = [times_1702(x) for x in row]
    most = max(0, *y)
    e, zero = [shift_exp(most - each, places, depth) for each in y], shift_exp(most, places, depth)
    return [nearest(Fraction(x * share(a, a + zero, bits), 2**(bits - 1)))
            for x, a in zip(row, e, strict=True)]


def gated(x, e, one, bits):
    return nearest(Fraction(x * share(e if x < 0 else one, e + one, bits), 2**(bits - 1)))


def lambda_shift_gelu(x, places, limit=8, depth=23, bits=16):
    e = shift_exp(times_1702(min(abs(x), limit * 2**places)), places, depth)
    return gated(x, e, 2**(places + depth), bits)


def exp2(t, places):
    whole, rest = divmod(t, 2**places)
    r = Fraction(rest, 2**places)
    a, b = Fraction(44012, 2**16), Fraction(11244, 2**16)
    mantissa = math.floor(b * r * r * 2**32) - a * r * 2**32 + 2**32
    return math.floor(mantissa / 2**min(whole, 63))


def tanh_gelu(x, places, bits=16):
    size = min(abs(x), 8 * 2**places)
    factor = (size * size // 2**places) * 6746 // 2**places + 150876
    return gated(x, exp2(size * factor // 2**16, places), 2**32, bits)


def normalise(row, epsilon):
    mean = nearest(Fraction(sum(row), len(row)))
    y = [x - mean for x in row]
    squares = sum(each * each for each in y) + epsilon
    up = 0
    while squares * 4**(up + 1) < 2**62:
        up += 1
    factor = 2**62 // math.isqrt(squares * 4**up)
    return [nearest(Fraction(each * 2**up * factor, 2**32)) for each in y]
