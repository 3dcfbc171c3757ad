"""Formats of which one code stands for several numbers in a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.base import HALF, Format, check_one_of, rows_of
from mpsearch.core.formats.lloyd import Source

_CODE_BITS = 16
_DIMS = (2, 8)
_PARTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CodewordFormat(Format):
    """Runs of *dims* numbers of an output channel are a codeword of that length times the scale.

    A code has ``bits * dims`` bits, a whole number up to 16. The last run of a channel may be
    shorter: of its codeword only the first numbers are used.
    """

    OPERANDS: ClassVar = ("weight",)
    ZERO: ClassVar[bool] = False
    WIDTHS: ClassVar[tuple[float, ...]] = (*(n / 8 for n in range(8, 33)),
                                           *(n / 2 for n in range(9, 17)))
    GRANULARITIES: ClassVar[tuple[str, ...]] = ("tensor", "channel")
    COLUMNWISE: ClassVar[bool] = False
    DECODED: ClassVar[bool] = True
    ACTIVATION_GRANULARITIES: ClassVar[tuple[str, ...]] = ()

    bits: float
    granularity: str = "channel"
    source: Source = "tensor"
    dims: Literal[2, 3, 4, 5, 6, 7, 8] = 4

    def __post_init__(self) -> None:
        Format.__post_init__(self)
        check_one_of(self.source, Source)
        if not _DIMS[0] <= self.dims <= _DIMS[1]:
            raise BadInput(f"a codeword has {_DIMS[0]} to {_DIMS[1]} numbers, not {self.dims}")
        code = self.bits * self.dims
        if code > _CODE_BITS or code != int(code):
            raise BadInput(
                f"{self.dims} numbers of {self.bits:g} bits are a code of {code:g} bits: choose "
                f"bits and dims so that it is a whole number up to {_CODE_BITS}")

    @property
    def code_bits(self) -> int:
        """Stored bits of one code, which stands for *dims* numbers."""
        return int(self.bits * self.dims)

    def codes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows of codes of a weight of this *shape*, and codes in each."""
        rows, length = rows_of(shape)
        return rows, math.ceil(length / self.dims)

    def codebooks(self, length: int) -> int:
        """Codebooks of a weight whose channels have *length* numbers."""
        del length
        return 1

    def tables(self, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """The codewords, where they are the tensor's own."""
        if self.source == "normal":
            return {}
        count = self.codebooks(rows_of(shape)[1]) << self.code_bits
        return {"codebook": (count * self.dims, HALF)}

    def __str__(self) -> str:
        return f"{self.bits:g}{self.kind}{self.dims}/{self.granularity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFormat(CodewordFormat):
    """Codewords of one codebook, shared by the whole tensor.

    *source* ``tensor`` trains it on the tensor and stores it in float16; ``normal`` takes one
    trained on normal numbers, which is made again from its seed, so that nothing is stored.
    """

    SUMMARY: ClassVar[str] = "vectors of 2 to 8 numbers from one codebook"
    SOURCE: ClassVar[str] = "Linde, Buzo, Gray, IEEE Trans. Commun. 1980; Q-Palette, 2025"

    kind: Literal["vector"] = "vector"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFormat(CodewordFormat):
    """Codewords from a codebook for each of *parts* runs of columns, all of them stored.

    A tensor with fewer codes in a channel than *parts* has a codebook for each of those.
    """

    SUMMARY: ClassVar[str] = "vectors of 2 to 8 numbers, a codebook for each part of a channel"
    SOURCE: ClassVar[str] = "Jegou et al., TPAMI 2011; Gong et al., arXiv:1412.6115"

    kind: Literal["product"] = "product"
    source: Literal["tensor"] = "tensor"
    parts: int = 4

    def __post_init__(self) -> None:
        CodewordFormat.__post_init__(self)
        if self.source != "tensor":
            raise BadInput("the format product has codebooks of the tensor only: use vector for "
                           "those of normal numbers")
        if not 1 <= self.parts <= _PARTS:
            raise BadInput(f"a channel has 1 to {_PARTS} parts, not {self.parts}")

    def codebooks(self, length: int) -> int:
        """Codebooks of a weight whose channels have *length* numbers."""
        return min(self.parts, math.ceil(length / self.dims))
