"""Codewords for vectors of normal numbers, made on demand from a seed."""

from __future__ import annotations

from functools import cache

import numpy as np

from mpsearch.quantizers.kmeans import Training, improved, nearest, trained
from mpsearch.quantizers.numbers import Array
from mpsearch.quantizers.random_numbers import Stream

_LEAST, _MOST = 1 << 16, 1 << 18
"""Vectors to learn from; 64 for each codeword within these bounds, but 4 if that is more."""
_EACH, _FEWEST = 64, 4
_ROUNDS = 14
_SMALL = 1 << 8
"""So many codewords are searched for longer, from several starts with a part of the vectors."""
_STARTS, _PART, _LONG = 4, 1 << 14, 40
_SEED = 1980
_STEP = 2.0**-20  # hides last digits in which mathematical libraries differ
_EXACT = 1 << 14  # above so many codewords exact neighbours take minutes


@cache
def normal_codewords(code_bits: int, dims: int) -> Array:
    """``2**code_bits`` codewords for *dims* numbers of mean 0 and variance 1, float16 numbers.

    Trained on a sample from a fixed seed, on one thread, and in exact steps (see `Training`): the
    same wherever it is done. It takes seconds for short codes, and a minute or two for codes of 16
    bits and 8 dimensions.
    """
    count = 1 << code_bits
    vectors = max(min(max(_EACH * count, _LEAST), _MOST), _FEWEST * count)
    sample = Stream(_SEED).normal(vectors * dims).reshape(vectors, dims)
    sample = np.rint(sample / _STEP) * _STEP
    weight, slack = np.ones(vectors), 0.5 if count > _EXACT else 0.0

    def training(rounds: int) -> Training:
        return Training(rounds=rounds, slack=slack, step=_STEP)

    if count > _SMALL:
        codewords = trained(sample, weight, count, training(_ROUNDS))
    else:
        tried = [trained(sample[:_PART], weight[:_PART], count, training(_LONG // 2), seed)
                 for seed in range(_STARTS)]
        best = min(tried, key=lambda each: float(np.square(nearest(sample, each)[0]).mean()))
        codewords = improved(sample, weight, best, training(_LONG), Stream(_SEED + 1))
    held: Array = codewords.astype(np.float16).astype(np.float64)
    return held
