"""The pairs of numbers that the states of a trellis stand for."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mpsearch.core.formats.trellis import TrellisFormat
from mpsearch.quantizers.hashing import Keys, hashed

_DIGITS = 24
_GRID = 1 << 20  # a grid this fine hides last digits in which mathematical libraries differ


class Trellis(NamedTuple):
    """Codewords float32 [P, 2**states, 2] and new bits int64 [P] of steps that repeat every P."""

    states: int
    new_bits: NDArray[np.int64]
    codewords: NDArray[np.float32]


@cache
def trellis_of(fmt: TrellisFormat) -> Trellis:
    """The trellis of *fmt*, the same for all tensors."""
    return Trellis(fmt.states, np.array(fmt.new_bits, dtype=np.int64), np.stack(
        [codewords(fmt.states, new, fmt.seed) for new in fmt.new_bits]))


def codewords(states: int, new: int, seed: int) -> NDArray[np.float32]:
    """A pair for each state, float32 [2**states, 2], for steps that add *new* bits.

    Points of the unit square, taken to the normal plane by the normal quantile. The 2**new states
    that follow one state are a digital net: one point in each cell of every grid of 2**new equal
    cells. Its cells are permuted among the 2**new states that lead to one state, so that those
    differ too, and moved by random bits within the cells. Reproduction is a little wider than the
    source where states share few bits, which is nearer to a code without memory.

    Source: own construction, found to lose less than codewords drawn independently.
    """
    state = np.arange(1 << states, dtype=np.int64)
    old, dropped = state >> new, min(new, states - new)
    middle = (state >> new) & ((1 << max(0, states - new - dropped)) - 1)
    oldest = _permuted(state >> (states - dropped), middle, dropped, seed)
    net, moves = _net(state & ((1 << new) - 1), new), _net(oldest, dropped)
    fine = _random(hashed(old, 4 * seed + 1)), _random(hashed(state, 4 * seed + 2))
    places = [net[i] ^ _spliced(moves[i] ^ _random(hashed(middle, 4 * seed + 3))[i], fine[0][i],
                               (new + 1 - i) // 2) ^ (fine[1][i] >> new) for i in range(2)]
    share = (np.stack(places, axis=1) + 0.5) / (1 << _DIGITS)
    normal = torch.special.ndtri(torch.from_numpy(share)).numpy() * (0.9 + 0.4 * new / states)
    return np.asarray(np.rint(normal * _GRID) / _GRID, dtype=np.float32)


def _net(number: Keys, bits: int) -> tuple[Keys, Keys]:
    """The point of Hammersley's set: the digits of *number* backwards, and as they are."""
    backwards = np.zeros_like(number)
    for bit in range(bits):
        backwards |= ((number >> bit) & 1) << (_DIGITS - 1 - bit)
    return backwards, number << (_DIGITS - bits)


def _permuted(number: Keys, key: Keys, bits: int, seed: int) -> Keys:
    """*number* (of so many *bits*) after a random permutation, another one for every *key*."""
    every = np.arange(1 << bits)
    tables = np.stack([np.argsort(hashed(every + (each << bits), 4 * seed), kind="stable")
                       for each in range(int(key.max()) + 1)])
    return np.asarray(tables[key, number], dtype=np.int64)


def _random(bits: NDArray[np.uint64]) -> tuple[Keys, Keys]:
    return ((bits >> np.uint64(64 - _DIGITS)).astype(np.int64),
            (bits & np.uint64((1 << _DIGITS) - 1)).astype(np.int64))


def _spliced(first: Keys, then: Keys, digits: int) -> Keys:
    """So many leading *digits* of *first*, then all of *then*."""
    kept = _DIGITS - digits
    return first >> kept << kept | then >> digits
