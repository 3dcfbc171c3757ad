"""Which tensors a weight takes in a format: their types and sizes, known before any is made."""

from __future__ import annotations

from dataclasses import dataclass

from mpsearch.core.formats import Format
from mpsearch.packed.container import SIZES

_BYTE = 8
_SCALES: dict[str, dict[str, str]] = {  # one a slice, and once a tensor
    "half": {"scale": "F16", "scale_exponent": "I8"},
    "exponent": {"scale": "U8"},
    "e4m3": {"scale": "U8", "global_scale": "F32"}}
_TABLES = {("codebook", 16): "F16", ("table", 8): "U8", ("columns", 16): "U16",
           ("columns", 32): "U32", ("outliers", 16): "F16", ("exponent", 8): "I8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One stored tensor: so many numbers of a type, empty where the format's kind alone knows it.

    *shape* is None where any will do that has as many numbers.
    """

    count: int
    bits: int
    dtype: str
    shape: tuple[int, ...] | None = None

    def takes(self, dtype: str, shape: tuple[int, ...], count: int) -> bool:
        """Whether a tensor of this type, shape and number of numbers is as expected."""
        same = self.shape is None or shape == self.shape
        right = dtype == self.dtype if self.dtype else SIZES[dtype] * _BYTE == self.bits
        return same and right and count == self.count

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return self.count * self.bits // _BYTE


def expected_parts(fmt: Format, rows: tuple[int, ...]) -> dict[str, Expected]:
    """The tensors of a weight whose shape with output channels first is *rows*, by their suffix.

    A suffix follows the parameter's name: ``fc.weight`` in 4 bits is ``fc.weight_packed``,
    ``fc.weight_scale`` and so on. Together they have the bits that `Format.stored_bits` counts.
    """
    lines, length = fmt.codes(rows)
    packed = (lines, -(-length * fmt.code_bits // _BYTE))
    slices = fmt.slices(rows)
    parts = {"packed": _flat("U8", packed)}
    for name, dtype in _SCALES[fmt.scale_storage].items():
        parts[name] = _flat(dtype, (slices if name == "scale" else 1,))
    if fmt.zero_point_bits:
        parts["zero_point"] = _flat("U8" if fmt.zero_point_bits == _BYTE else "U16", (slices,))
    for name, (count, bits) in fmt.tables(rows).items():
        dtype = _TABLES.get((name, bits), "")
        parts[name] = Expected(count=count, bits=bits, dtype=dtype,
                               shape=_table_shape(name, count, lines) if dtype else None)
    return parts


def _table_shape(name: str, count: int, lines: int) -> tuple[int, ...]:
    return (lines, count // lines) if name == "outliers" else (count,)


def _flat(dtype: str, shape: tuple[int, ...]) -> Expected:
    count = 1
    for size in shape:
        count *= size
    return Expected(count=count, bits=SIZES[dtype] * _BYTE, dtype=dtype, shape=shape)
