"""Codes as a dense stream of bits."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format, rows_of

# Eight codes of b bits are b whole bytes: the unit in which the stream repeats.
_CODES, _BYTE = 8, 8


def pack(codes: Tensor, fmt: Format) -> Tensor:
    """*codes* as uint8 [rows, ceil(length * bits / 8)], where a row is one index of dimension 0.

    Each code takes ``fmt.code_bits`` bits, counted from ``fmt.code_range[0]`` so that it is not
    negative; the first code of a row lies in the lowest bits of its first byte (little-endian).
    A row ends on a byte, and its spare bits are 0.

    Raises:
        BadInput: a code is outside the format's range.
    """
    first, last = fmt.code_range
    if codes.numel() and not first <= int(codes.min()) <= int(codes.max()) <= last:
        raise BadInput(f"codes from {int(codes.min())} to {int(codes.max())} do not fit {fmt}, "
                       f"whose codes go from {first} to {last}")
    rows, length = rows_of(tuple(codes.shape))
    units = math.ceil(length / _CODES)
    padded = codes.new_zeros((rows, units * _CODES), dtype=torch.int32)
    padded[:, :length] = codes.reshape(rows, length) - first
    padded = padded.view(rows, units, _CODES)
    stream = torch.zeros((rows, units, fmt.code_bits), dtype=torch.uint8, device=codes.device)
    for code, byte, shift in _overlaps(fmt.code_bits):
        stream[:, :, byte] |= (_shifted(padded[:, :, code], shift) & 0xFF).to(torch.uint8)
    return stream.view(rows, -1)[:, : _row_bytes(length, fmt)].contiguous()


def unpack(packed: Tensor, fmt: Format, shape: tuple[int, ...]) -> Tensor:
    """The int32 codes of this *shape* (of the codes) that `pack` turned into *packed*.

    Raises:
        BadInput: *packed* is not of the size that this shape has.
    """
    rows, length = rows_of(shape)
    if tuple(packed.shape) != (rows, _row_bytes(length, fmt)):
        raise BadInput(f"packed codes of size {tuple(packed.shape)} are not those of a tensor of "
                       f"shape {shape} in {fmt}: expected {(rows, _row_bytes(length, fmt))}")
    units = math.ceil(length / _CODES)
    stream = packed.new_zeros((rows, units * fmt.code_bits))
    stream[:, : packed.shape[1]] = packed
    stream = stream.view(rows, units, fmt.code_bits)
    codes = torch.zeros((rows, units, _CODES), dtype=torch.int32, device=packed.device)
    for code, byte, shift in _overlaps(fmt.code_bits):
        codes[:, :, code] |= _shifted(stream[:, :, byte].to(torch.int32), -shift)
    codes &= (1 << fmt.code_bits) - 1
    return (codes.view(rows, -1)[:, :length] + fmt.code_range[0]).reshape(shape)


def _row_bytes(length: int, fmt: Format) -> int:
    return math.ceil(length * fmt.code_bits / _BYTE)


def _overlaps(bits: int) -> Iterator[tuple[int, int, int]]:
    """(code, byte, left shift of the code within the byte) wherever the two share bits."""
    for code in range(_CODES):
        start = code * bits
        for byte in range(start // _BYTE, (start + bits - 1) // _BYTE + 1):
            yield code, byte, start - byte * _BYTE


def _shifted(x: Tensor, left: int) -> Tensor:
    return x << left if left >= 0 else x >> -left
