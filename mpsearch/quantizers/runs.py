"""Rows of numbers as runs that a codeword each stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from mpsearch.core.formats.codewords import CodewordFormat
from mpsearch.quantizers.kmeans import Indices, nearest
from mpsearch.quantizers.numbers import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """How a row of *length* numbers falls into runs of *dims*, and these into *parts*.

    Parts are runs side by side, as equal in number as can be; each has its own codebook.
    """

    length: int
    dims: int
    parts: int

    @classmethod
    def of(cls, length: int, fmt: CodewordFormat) -> Self:
        """The runs of a row of *length* numbers in *fmt*."""
        return cls(length=length, dims=fmt.dims, parts=fmt.codebooks(length))

    @property
    def count(self) -> int:
        """Runs in a row."""
        return math.ceil(self.length / self.dims)

    def part(self, at: int) -> slice:
        """The runs of the part with this number."""
        ends = [-(-self.count * each // self.parts) for each in (at, at + 1)]
        return slice(*ends)

    def filled(self, rows: Array) -> Array:
        """*rows* [R, length] as runs [R, count, dims]; a short last one goes on with the first.

        So that codewords are trained on nothing but numbers of the tensor.
        """
        columns = np.arange(self.count * self.dims) % self.length
        return rows[:, columns].reshape(len(rows), self.count, self.dims)

    def codes(self, rows: Array, codebooks: Array) -> Indices:
        """The nearest codeword [R, count] of every run, of *codebooks* [parts, K, dims].

        A short last run is compared with as many first numbers of the codewords as it has.
        """
        codes = np.empty((len(rows), self.count), dtype=np.intp)
        runs, whole = self.filled(rows), self.length // self.dims
        for at, codebook in enumerate(codebooks):
            own = self.part(at)
            own = slice(own.start, min(own.stop, whole))
            if own.start < own.stop:
                points = runs[:, own].reshape(-1, self.dims)
                codes[:, own] = nearest(points, codebook)[1].reshape(len(rows), -1)
        if whole < self.count:
            last = rows[:, whole * self.dims:]
            codes[:, whole] = nearest(last, codebooks[-1][:, :last.shape[1]])[1]
        return codes

    def values(self, codes: Indices, codebooks: Array) -> Array:
        """The numbers [R, length] that *codes* [R, count] stand for, scales apart."""
        found = codebooks[self.places(), codes]
        return found.reshape(len(codes), -1)[:, :self.length]

    def places(self) -> Indices:
        """The part of every run, [count]."""
        sizes = [len(range(self.count)[self.part(at)]) for at in range(self.parts)]
        return np.repeat(np.arange(self.parts), sizes)
