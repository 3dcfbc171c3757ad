"""Codewords for vectors of normal numbers, made on demand from a seed."""

from __future__ import annotations

from functools import cache

import numpy as np

from mpsearch.quantizers.kmeans import improved, nearest, trained
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


@cache
def normal_codewords(code_bits: int, dims: int) -> Array:
    """``2**code_bits`` codewords for *dims* numbers of mean 0 and variance 1, float16 numbers.

    Trained on a sample from a fixed seed, on one thread: the same wherever it is done. It takes a
    second for short codes, and a minute or two for codes of 16 bits and 8 dimensions.
    """
    count = 1 << code_bits
    vectors = max(min(max(_EACH * count, _LEAST), _MOST), _FEWEST * count)
    sample = Stream(_SEED).normal(vectors * dims).reshape(vectors, dims)
    weight = np.ones(vectors)
    if count > _SMALL:
        codewords = trained(sample, weight, count, _ROUNDS)
    else:
        tried = [trained(sample[:_PART], weight[:_PART], count, _LONG // 2, seed)
                 for seed in range(_STARTS)]
        best = min(tried, key=lambda each: float(np.square(nearest(sample, each)[0]).mean()))
        codewords = improved(sample, weight, best, _LONG, Stream(_SEED + 1))
    held: Array = codewords.astype(np.float16).astype(np.float64)
    return held
