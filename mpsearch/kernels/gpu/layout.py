"""Weights as GPU kernels read them: planes of 8, 4, 2 or 1 bits in 32-bit words along the inputs.

A width is a sum of plane widths, as on CPUs: 7 bits are planes of 4, 2 and 1. Of a plane of p bits
a word holds 32 / p neighbouring inputs of one output, the first in its lowest bits; words of
neighbouring outputs lie side by side, so that threads read them together. Runs of inputs that
share a scale begin at a word and are filled up to 32 inputs, outputs to a multiple of 64.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WORD, _PANEL = 32, 64
_WIDTHS = (8, 4, 2, 1)


def run_of(group: int) -> int:
    """Inputs of a run of *group* inputs, filled up."""
    return -(-group // _WORD) * _WORD


def words_of(codes: Tensor, bits: int, group: int) -> Tensor:
    """Unsigned *codes* [outputs, inputs] of *bits* bits as int32 words.

    Plane after plane, each [groups * run / 32 * width, columns].
    """
    cut = _in_runs(codes.long(), group)
    columns = cut.shape[0]
    planes = []
    for width in _planes(bits):
        part = cut >> _below(bits, width) & (1 << width) - 1
        shifts = torch.arange(0, _WORD, width, device=codes.device)
        words = (part.view(columns, -1, _WORD // width) << shifts).sum(-1)
        planes.append(_signed(words).T.reshape(-1))
    return torch.cat(planes)


def codes_of(words: Tensor, bits: int, group: int, groups: int) -> Tensor:
    """The unsigned codes, int32 [columns, groups * group], of what `words_of` made."""
    run = run_of(group)
    units = groups * run // _WORD
    lines = words.view(units * bits, -1)
    codes = words.new_zeros(lines.shape[1], units * _WORD)
    for width in _planes(bits):
        start = units * _below(bits, width)
        shifts = torch.arange(0, _WORD, width, device=words.device, dtype=torch.int32)
        part = lines[start: start + units * width].T[..., None] >> shifts & (1 << width) - 1
        codes |= part.reshape(codes.shape) << _below(bits, width)
    return codes.view(-1, groups, run)[..., :group].reshape(len(codes), -1)


def _planes(bits: int) -> list[int]:
    return [width for width in _WIDTHS if bits & width]


def _below(bits: int, width: int) -> int:
    """The bits of a code below its plane of *width*; as many planes of one bit come before it."""
    return bits & ~(2 * width - 1)


def _in_runs(codes: Tensor, group: int) -> Tensor:
    """[columns, groups, run], filled up with 0."""
    outputs, inputs = codes.shape
    groups = -(-inputs // group)
    grouped = codes.new_zeros(-(-outputs // _PANEL) * _PANEL, groups * group)
    grouped[:outputs, :inputs] = codes
    full = codes.new_zeros(len(grouped), groups, run_of(group))
    full[..., :group] = grouped.view(len(grouped), groups, group)
    return full


def _signed(words: Tensor) -> Tensor:
    """Numbers below 2**32 as the int32 of the same bits."""
    return torch.where(words >> (_WORD - 1) > 0, words - (1 << _WORD), words).to(torch.int32)
