"""The quantizer of formats of which a code stands for several numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.codewords import CodewordFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import finite, layout_for
from mpsearch.quantizers.codeword_search import fitted
from mpsearch.quantizers.layout import Layout, layout_of
from mpsearch.quantizers.normal_codewords import normal_codewords
from mpsearch.quantizers.numbers import Array, Numbers
from mpsearch.quantizers.runs import Runs
from mpsearch.quantizers.threads import side_by_side


@dataclass(frozen=True, slots=True, kw_only=True)
class Codewords:
    """Every run of numbers becomes its nearest codeword times the scale of its channel or tensor.

    Codewords of one codebook (vector quantization), or of one for each part of the channels
    (product quantization). The nearest is found exactly, on the CPU. 0 has no code as a rule.

    Sources: Linde, Buzo, Gray, "An Algorithm for Vector Quantizer Design" (IEEE Trans. Commun.
    1980); Jegou et al., "Product Quantization for Nearest Neighbor Search" (TPAMI 2011).
    """

    def fit(self, x: Tensor, formats: Sequence[CodewordFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Codewords and scales of *x* in each of *formats*.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        if x.numel() == 0:
            raise BadInput(f"cannot quantize an empty tensor of shape {tuple(x.shape)}")

        def params(fmt: CodewordFormat) -> Params:
            rows = _by_row(x.shape, fmt, axes).to_slices(x.detach())
            numbers = Numbers.of(rows, layout_of(rows.shape, fmt))
            return fitted(numbers, Runs.of(rows.shape[1], fmt), fmt, x.device)

        return side_by_side(params, formats, x.device)

    def encode(self, x: Tensor, params: Params, fmt: CodewordFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """The number of the nearest codeword of every run, int32 [rows, codes a row].

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout_for(x.shape, params, fmt, axes)
        rows = finite(_by_row(x.shape, fmt, axes).to_slices(x.detach()))
        runs = Runs.of(rows.shape[1], fmt)
        steps = rows.cpu().double().numpy() / params.scale.cpu().double().numpy()
        codes = runs.codes(steps, _codebooks(params, fmt, runs))
        return torch.from_numpy(codes.astype(np.int32)).to(x.device)

    def decode(self, codes: Tensor, params: Params, fmt: CodewordFormat,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The numbers that *codes* stand for, of this *shape*; computed in float32.

        Raises:
            BadInput: the codes do not fit *params*, or there is no shape.
        """
        if shape is None:
            raise BadInput(f"codes in {fmt} stand for several numbers each: give the shape of the "
                           "tensor to decode them")
        layout_for(shape, params, fmt, axes)
        layout = _by_row(shape, fmt, axes)
        runs = Runs.of(layout.terms, fmt)
        codebooks = torch.from_numpy(_codebooks(params, fmt, runs)).to(codes.device, torch.float32)
        places = torch.from_numpy(runs.places()).to(codes.device)
        rows = codebooks[places, codes.long()].flatten(1)[:, :layout.terms] * params.scale
        return layout.from_slices(rows.to(dtype)).contiguous()


def _by_row(shape: Sequence[int], fmt: CodewordFormat, axes: Sequence[int] | None) -> Layout:
    return layout_of(shape, replace(fmt, granularity="channel"), axes)


def _codebooks(params: Params, fmt: CodewordFormat, runs: Runs) -> Array:
    """Codebooks [parts, K, dims]."""
    if fmt.source == "normal":
        return normal_codewords(fmt.code_bits, fmt.dims)[None]
    stored: Array = params.more["codebook"].cpu().double().numpy()
    return stored.reshape(runs.parts, -1, runs.dims)
