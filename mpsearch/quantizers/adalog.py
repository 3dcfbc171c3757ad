"""Powers of a searched base."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.levels import LevelFormat
from mpsearch.quantizers.levels import Levels
from mpsearch.quantizers.stairs import Strand

_OCTAVE = 37
"""Steps of the exponent in an octave (r in the paper)."""
_LARGEST = 128
_DEEPEST = 40  # octaves; what lies deeper below the largest number adds nothing to an error


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaLog(Levels):
    """``2**(-k * q / 37)`` for k from 0, and 0 as a code of its own: ``2**bits`` levels in all.

    Powers are as an integer device computes them: a mantissa from a short list, and a shift
    (`decode_table`). The paper searches q, the scale and the shift in turns, ever finer, by the
    error of a layer's output. Here up to 128 values of q are tried, fewer at more
    bits (6 at 8), with the squared error of the numbers
    themselves, which sorted numbers make cheap; the shift that brings numbers after a GELU above 0
    (0.16997 in the paper) is found by the same search.

    Source: Wu et al., "AdaLog: Post-Training Quantization for Vision Transformers with Adaptive
    Logarithm Quantizer" (ECCV 2024, arXiv:2407.12951). Its code has one level more, 0, than its
    codes can hold.
    """

    def tables(self, fmt: LevelFormat) -> Tensor:
        """One table for each q: up to 128, or where the smallest power is below ``2**-40``."""
        most = min(_LARGEST, -(-_DEEPEST * _OCTAVE // ((1 << fmt.bits) - 2)))
        return torch.stack([_levels(fmt.bits, q) for q in range(1, most + 1)])

    def strands(self, fmt: LevelFormat, number: int) -> tuple[Strand, ...]:
        """Mantissas, shifted left by what the least power is shifted more."""
        shift, mantissa = (each.tolist() for each in decode_table(fmt.bits, number + 1))
        whole = [own << (shift[-1] - by) for own, by in zip(mantissa, shift, strict=True)]
        return (Strand(unit=2.0 ** -shift[-1] / ((1 << (fmt.bits + 1)) - 2),
                       whole=(0, *reversed(whole))),)


def decode_table(bits: int, q: int) -> tuple[Tensor, Tensor]:
    """Shift and mantissa of every power, int32 [2**bits - 1] each, the largest power first.

    The power ``2**(-k * q / 37)`` is about ``mantissa * 2**-shift / (2**(bits + 1) - 2)``. A
    mantissa has bits + 1 bits, and the divisor is one of the scale.
    """
    exponent = torch.arange((1 << bits) - 1) * q
    rest = (exponent % _OCTAVE).double() / _OCTAVE
    mantissa = (torch.exp2(-rest) * ((1 << (bits + 1)) - 2)).round()
    return (exponent // _OCTAVE).int(), mantissa.int()


def _levels(bits: int, q: int) -> Tensor:
    shift, mantissa = decode_table(bits, q)
    powers = mantissa.double() * torch.exp2(-shift.double()) / ((1 << (bits + 1)) - 2)
    return torch.cat([powers, powers.new_zeros(1)]).flip(0)
