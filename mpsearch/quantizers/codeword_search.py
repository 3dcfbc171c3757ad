"""Codewords and scales of little squared error."""

from __future__ import annotations

import numpy as np
import torch

from mpsearch.core.formats.codewords import CodewordFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.kmeans import Indices, Training, means, trained
from mpsearch.quantizers.normal_codewords import normal_codewords
from mpsearch.quantizers.numbers import Array, Numbers
from mpsearch.quantizers.random_numbers import Stream
from mpsearch.quantizers.runs import Runs

_STARTS = (0.87, 1.0, 1.15)
"""Scales tried for fixed codewords, as shares of the root mean square."""
_TRAINING = Training(rounds=10)
_REFITS = 2
_EACH, _MOST = 32, 1 << 16  # runs for each codeword that are learned from, and at least so many
_SEED = 0


def fitted(numbers: Numbers, runs: Runs, fmt: CodewordFormat, device: torch.device) -> Params:
    """The parameters of *numbers*, whose rows fall into *runs*.

    Codewords are trained on the rows over their root mean square. Then codes, scales and codewords
    take turns: codes are the nearest codewords, scales follow by least squares for each channel,
    codewords are means again, and are rounded to float16 before the scales are fitted once more.

    VQ4DiT (Deng et al., arXiv:2408.17131) chooses among a few near codewords for each run, by the
    error of the network's outputs. Without data the error is that of the numbers, for which the
    nearest codeword is the best at given scales, so that of its method the turns remain.
    """
    if fmt.source == "normal":
        codebooks, more = normal_codewords(fmt.code_bits, fmt.dims)[None], {}
        scale = numbers.best_start(_STARTS, lambda scale: _values(
            numbers, runs, runs.codes(_rows(numbers, runs) / scale, codebooks), codebooks))
    else:
        codebooks, scale = _trained(numbers, runs, 1 << fmt.code_bits), numbers.spread
        for _ in range(_REFITS):
            codes = runs.codes(_rows(numbers, runs) / scale, codebooks)
            scale = _refitted(numbers, runs, codes, codebooks, scale)
            codebooks = _moved(numbers, runs, codes, codebooks, scale)
        codebooks = codebooks.astype(np.float16).astype(np.float64)
        more = {"codebook": torch.from_numpy(codebooks.ravel()).half().to(device)}
    for _ in range(_REFITS):
        codes = runs.codes(_rows(numbers, runs) / scale, codebooks)
        scale = _refitted(numbers, runs, codes, codebooks, scale)
    scales = numbers.stored(scale, device)
    return Params.without_zero(scales, more)


def _rows(numbers: Numbers, runs: Runs) -> Array:
    return numbers.x.reshape(-1, runs.length)


def _weights(numbers: Numbers, runs: Runs, scale: Array) -> Array:
    """How much the error of a run, [R, count], counts in the tensor."""
    rows = len(_rows(numbers, runs))
    weight = np.square(scale) / np.square(scale).max()
    return np.broadcast_to(weight, (rows, runs.count))


def _trained(numbers: Numbers, runs: Runs, count: int) -> Array:
    filled = runs.filled(_rows(numbers, runs) / numbers.spread)
    weight = _weights(numbers, runs, numbers.spread)
    books = []
    for at in range(runs.parts):
        points = filled[:, runs.part(at)].reshape(-1, runs.dims)
        own = weight[:, runs.part(at)].ravel()
        share = max(_MOST, _EACH * count) / len(points)
        if share < 1:
            some = Stream(_SEED).uniform(len(points)) < share
            points, own = points[some], own[some]
        books.append(trained(points, own, count, _TRAINING))
    return np.stack(books)


def _moved(numbers: Numbers, runs: Runs, codes: Indices, codebooks: Array, scale: Array) -> Array:
    """Codebooks of the means of what has each code."""
    filled = runs.filled(_rows(numbers, runs) / scale)
    weight = _weights(numbers, runs, scale)
    moved = [means(filled[:, own].reshape(-1, runs.dims), weight[:, own].ravel(),
                   codes[:, own].ravel(), codebook)
             for codebook, own in zip(codebooks, map(runs.part, range(runs.parts)), strict=True)]
    return np.stack(moved)


def _values(numbers: Numbers, runs: Runs, codes: Indices, codebooks: Array) -> Array:
    return runs.values(codes, codebooks).reshape(numbers.x.shape)


def _refitted(numbers: Numbers, runs: Runs, codes: Indices, codebooks: Array,
              scale: Array) -> Array:
    return numbers.refitted(_values(numbers, runs, codes, codebooks), scale)
