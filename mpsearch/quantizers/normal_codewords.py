"""Codewords for vectors of normal numbers, made on demand from a seed."""

from __future__ import annotations

from functools import cache

import numpy as np

from mpsearch.quantizers.kmeans import trained
from mpsearch.quantizers.numbers import Array
from mpsearch.quantizers.random_numbers import Stream

_EACH = 64  # vectors for each codeword to learn from, within these bounds
_LEAST, _MOST = 1 << 16, 1 << 18
_ROUNDS = 12
_SEED = 1980


@cache
def normal_codewords(code_bits: int, dims: int) -> Array:
    """``2**code_bits`` codewords for *dims* numbers of mean 0 and variance 1, as float16 holds them.

    Trained on a sample; the same on every machine and on any number of threads.
    """
    count = 1 << code_bits
    vectors = min(max(_EACH * count, _LEAST), max(_MOST, 4 * count))
    sample = Stream(_SEED).normal(vectors * dims).reshape(vectors, dims)
    codewords = trained(sample, np.ones(vectors), count, _ROUNDS)
    held: Array = codewords.astype(np.float16).astype(np.float64)
    return held
