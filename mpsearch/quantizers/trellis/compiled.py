"""The loops of `plain`, compiled by numba on first use and kept in its cache.

They take LANES sequences side by side, which is what the processor's vectors need. No sum is
reordered or fused, so that the result is that of `plain` to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpsearch.core.loops import compiled

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

LANES = 32


@compiled
def search(x: Floats, weight: Floats, trellis: tuple[int, Numbers, Floats],
           start: Numbers) -> Numbers:
    """States [T, LANES] of the best paths for pairs *x* [T, 2, LANES].

    See `plain.search`; a *start* of -1 is open.
    """
    states, new, codewords = trellis
    steps, period = x.shape[0], new.size
    most = 1 << (states - new.min())
    total = np.empty((most, LANES), dtype=np.float32)
    after = np.empty((most, LANES), dtype=np.float32)
    back = np.empty((steps, most, LANES), dtype=np.uint16)
    for j in range(1 << (states - new[0])):
        for i in range(LANES):
            total[j, i] = 0.0 if start[i] < 0 or start[i] == j else np.inf
    for t in range(steps):
        bits = new[t % period], states - new[(t + 1) % period], states
        _step((x[t], weight[t], codewords[t % period]), total, after, back[t], bits)
        total, after = after, total
    return _traced(total, back, new, states, start)


@compiled
def _step(terms: tuple[Floats, Floats, Floats], total: Floats, after: Floats,
          back: NDArray[np.uint16], bits: tuple[int, int, int]) -> None:
    """The least error *after* this step, and its way *back*, for all bits that the next one keeps.

    *terms* are numbers, weights and codewords; *bits* those that are new, kept next, and all.
    """
    (x, weight, codewords), (new, kept, states) = terms, bits
    # float, not integer: then a choice between two is of one type and width with the errors
    least = np.empty(LANES, dtype=np.float32)
    which = np.empty(LANES, dtype=np.float32)
    for j in range(1 << kept):
        for i in range(LANES):
            least[i] = np.inf
            which[i] = 0
        for h in range(1 << (states - kept)):
            state = (h << kept) | j
            c0, c1 = codewords[state, 0] * weight[0], codewords[state, 1] * weight[1]
            before, here = state >> new, np.float32(h)
            for i in range(LANES):
                d0, d1 = x[0, i] - c0, x[1, i] - c1
                error = (d0 * d0 + d1 * d1) + total[before, i]
                old, place = least[i], which[i]
                least[i] = error if error < old else old  # noqa: FURB136 - min does not vectorize
                which[i] = here if error < old else place
        for i in range(LANES):
            after[j, i] = least[i]
            back[j, i] = np.uint16(which[i])


@compiled
def _traced(total: Floats, back: NDArray[np.uint16], new: Numbers, states: int,
            start: Numbers) -> Numbers:
    steps, period = len(back), new.size
    path = np.empty((steps, LANES), dtype=np.int64)
    for i in range(LANES):
        last = start[i]
        if last < 0:
            last = 0
            for j in range(1 << (states - new[0])):
                if total[j, i] < total[last, i]:
                    last = j
        for t in range(steps - 1, -1, -1):
            state = (np.int64(back[t, last, i]) << (states - new[(t + 1) % period])) | last
            path[t, i] = state
            last = state >> new[t % period]
    return path
