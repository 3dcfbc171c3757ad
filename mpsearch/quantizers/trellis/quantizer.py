"""The trellis-coded quantizer: a random rotation, a scale, and the best path for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.trellis import PAIR, TrellisFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import check_scales, finite
from mpsearch.quantizers.hadamard import rotate, rotate_back
from mpsearch.quantizers.layout import Layout, layout_of
from mpsearch.quantizers.scales import ScaleGrid
from mpsearch.quantizers.trellis.pairs import Trellis as Code
from mpsearch.quantizers.trellis.pairs import trellis_of
from mpsearch.quantizers.trellis.paths import circular

_SAMPLE = 64  # sequences that the scale is fitted to
_LEAST = 2.0**-149


@dataclass(frozen=True, slots=True, kw_only=True)
class Trellis:
    """A value is a codeword of the trellis times the scale, rotated back.

    Sources: Tseng et al., "QTIP: Quantization with Trellises and Incoherence Processing" (NeurIPS
    2024); Lee and Song, "Q-Palette" (2025) for its widths. Two things differ from theirs: the
    codewords (see `pairs`), and quarter bits, where steps alternate between two numbers of
    new bits instead of columns between two widths. That loses less, but for 4.75 bits with 12
    state bits.
    """

    def fit(self, x: Tensor, formats: Sequence[TrellisFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Scales in each of *formats*: the root mean square, corrected by least squares.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        if x.numel() == 0:
            raise BadInput(f"cannot quantize an empty tensor of shape {tuple(x.shape)}")
        rotated = {seed: _rotated(x, _matrix(x.shape, axes), seed)
                   for seed in dict.fromkeys(fmt.seed for fmt in formats)}
        return [_fitted(rotated[fmt.seed], fmt, tuple(x.shape)) for fmt in formats]

    def encode(self, x: Tensor, params: Params, fmt: TrellisFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """The new bits of every step, int32 [sequences, codes].

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout = _fitting(x.shape, params, fmt, axes)
        steps = _rotated(x, layout, fmt.seed) / params.scale.double()
        code = trellis_of(fmt)
        path = circular(_sequences(steps, fmt, tuple(x.shape)), code)
        return _together(path, code).to(torch.int32)

    def decode(self, codes: Tensor, params: Params, fmt: TrellisFormat,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The numbers of a tensor of *shape* that *codes* stand for; computed in float64.

        Raises:
            BadInput: no *shape* is given, or the codes do not fit it or *params*.
        """
        if shape is None or tuple(codes.shape) != fmt.codes(tuple(shape)):
            raise BadInput(f"codes of shape {tuple(codes.shape)} are not those of a tensor of "
                           f"shape {shape} in {fmt}: give the shape of the tensor")
        layout = _fitting(shape, params, fmt, axes)
        code = trellis_of(fmt)
        numbers = _numbers(_path(codes.long(), code), code).flatten()[: math.prod(shape)]
        values = numbers.double().view(layout.sums, layout.terms) * params.scale.double()
        back = rotate_back(rotate_back(values, 2 * fmt.seed + 1, 1), 2 * fmt.seed, 0)
        return layout.from_slices(back.float().to(dtype)).contiguous()


def _matrix(shape: Sequence[int], axes: Sequence[int] | None) -> Layout:
    """Rows and columns of a tensor, whatever shares a scale."""
    return layout_of(shape, TrellisFormat(bits=2, granularity="channel"), axes)


def _fitting(shape: Sequence[int], params: Params, fmt: TrellisFormat,
             axes: Sequence[int] | None) -> Layout:
    layout = _matrix(shape, axes)
    check_scales(params, 1 if fmt.granularity == "tensor" else layout.sums, shape)
    return layout


def _rotated(x: Tensor, layout: Layout, seed: int) -> Tensor:
    """*x* as float64 rows, rotated along and across them."""
    rows = finite(layout.to_slices(x.detach()))
    return rotate(rotate(rows, 2 * seed, 0), 2 * seed + 1, 1)


def _sequences(steps: Tensor, fmt: TrellisFormat, shape: tuple[int, ...]) -> Tensor:
    """Numbers in steps as float32 sequences; what is missing in the last one is NaN."""
    count, length = fmt.sequences(shape)
    missing = count * PAIR * length - steps.numel()
    return pad(steps.float().flatten(), (0, missing), value=math.nan).view(count, -1)


def _fitted(rows: Tensor, fmt: TrellisFormat, shape: tuple[int, ...]) -> Params:
    # numpy sums the same way on any number of threads
    squares = rows.square().cpu().numpy()
    mean = squares.mean(axis=1, keepdims=True) if fmt.granularity == "channel" else (
        squares.mean().reshape(1, 1))
    size = torch.from_numpy(mean).sqrt().to(rows.device).clamp(min=_LEAST)
    sequences = _sequences(rows / size, fmt, shape)
    sample = sequences[:: math.ceil(len(sequences) / _SAMPLE)]
    code = trellis_of(fmt)
    near = _numbers(circular(sample, code), code)
    known = sample.nan_to_num().double().cpu().numpy()
    found = (near * ~sample.isnan()).double().cpu().numpy()
    ratio = float((known * found).sum() / (found * found).sum())
    grid = ScaleGrid.around(size, stored=True)
    scale = grid.from_units(grid.nearest(size * ratio / grid.unit))
    return Params.without_zero(scale)


def _numbers(path: Tensor, code: Code) -> Tensor:
    """The codewords of states [S, T], float32 [S, 2 T]."""
    period, codewords = len(code.new_bits), torch.from_numpy(code.codewords).to(path.device)
    steps = torch.arange(path.shape[1], device=path.device) % period
    return codewords[steps, path].flatten(1)


def _together(path: Tensor, code: Code) -> Tensor:
    """The new bits of every period of states [S, T], the first step's lowest."""
    joined, shift = torch.zeros_like(path[:, :: len(code.new_bits)]), 0
    for i, new in enumerate(code.new_bits.tolist()):
        joined |= (path[:, i :: len(code.new_bits)] & ((1 << new) - 1)) << shift
        shift += new
    return joined


def _path(codes: Tensor, code: Code) -> Tensor:
    """The states [S, T] of circular paths: each is the last bits that came before."""
    new = torch.from_numpy(code.new_bits).to(codes.device)
    before = new.cumsum(0) - new
    bits = (codes[:, :, None] >> before) & ((1 << new) - 1)
    bits, new = bits.flatten(1), new.repeat(codes.shape[1])
    path, shift = torch.zeros_like(bits), torch.zeros_like(new)
    for ago in range(math.ceil(code.states / int(new.min()))):
        path |= bits.roll(ago, 1) << shift
        shift += new.roll(ago)
    return path & ((1 << code.states) - 1)
