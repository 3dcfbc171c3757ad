"""The two largest of every four weights as integers; the others are 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from mpsearch.core.formats import rows_of
from mpsearch.core.formats.sparse import Sparse24Format
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.code_shape import code_shape
from mpsearch.quantizers.uniform import Uniform

_FOUR, _TWO = 4, 2
_PLACE_BITS = 2
_INTEGERS = Uniform()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse24:
    """2:4 sparsity by magnitude, then integers for what is left.

    Fours are runs of a row (an output channel, its terms in order of memory: those of a convolution
    are places of its kernel, where hardware wants input channels). Of equal magnitudes
    the first are kept. The scale is that of least squared error on the kept weights: the ones set
    to 0 lose the same whatever it is. A code holds, from its lowest bits, the two places in rising
    order, two bits each, and the two integers, each counted from the smallest.

    Source: Yu et al., "Boost Vision Transformer with GPU-Friendly Sparsity and Quantization"
    (CVPR 2023, arXiv:2305.10727), its mask and its integers without the training in between.
    """

    def fit(self, x: Tensor, formats: Sequence[Sparse24Format],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Scales of the kept weights in each of *formats*.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        return _INTEGERS.fit(_pruned(x), [fmt.kept for fmt in formats], axes)

    def encode(self, x: Tensor, params: Params, fmt: Sparse24Format,
               axes: Sequence[int] | None = None) -> Tensor:
        """A code for every four weights, int32 [rows, codes a row].

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        integers = _fours(_INTEGERS.encode(_pruned(x), params, fmt.kept, axes))
        places = _places(_fours(x.detach()))
        two = integers.gather(-1, places) - fmt.kept.code_range[0]
        code = (places[..., 0] | places[..., 1] << _PLACE_BITS
                | two[..., 0] << _TWO * _PLACE_BITS
                | two[..., 1] << _TWO * _PLACE_BITS + fmt.bits)
        return code.to(torch.int32).reshape(code_shape(fmt, x.shape))

    def decode(self, codes: Tensor, params: Params, fmt: Sparse24Format,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The weight of this *shape* that *codes* stand for; computed in float32.

        Raises:
            BadInput: the codes do not fit *params*.
        """
        own = tuple(codes.shape if shape is None else shape)
        integers = integers_of(codes, fmt, own)
        return _INTEGERS.decode(integers, params, fmt.kept, axes, dtype=dtype)


def integers_of(codes: Tensor, fmt: Sparse24Format, shape: Sequence[int]) -> Tensor:
    """The integers of a weight of *shape*, int32, in the format of those that are kept."""
    rows, length = rows_of(tuple(shape))
    code = codes.reshape(fmt.codes(tuple(shape))).long()
    mask, first = (1 << fmt.bits) - 1, fmt.kept.code_range[0]
    places = torch.stack([code & 3, code >> _PLACE_BITS & 3], -1)
    above = code >> _TWO * _PLACE_BITS
    two = torch.stack([above & mask, above >> fmt.bits & mask], -1) + first
    integers = two.new_zeros((*code.shape, _FOUR)).scatter_(-1, places, two)
    return integers.view(rows, -1)[:, :length].reshape(shape).to(torch.int32)


def _fours(x: Tensor) -> Tensor:
    """*x* as [rows, fours, 4], each row filled up with zeros."""
    rows, length = rows_of(tuple(x.shape))
    return pad(x.reshape(rows, length), (0, -length % _FOUR)).view(rows, -(-length // _FOUR), _FOUR)


def _places(fours: Tensor) -> Tensor:
    """Where the two largest magnitudes of every four are, in rising order; the first of equals."""
    order = fours.abs().argsort(dim=-1, descending=True, stable=True)
    return order[..., :_TWO].sort(dim=-1).values


def _pruned(x: Tensor) -> Tensor:
    """*x* with 0 for what is not kept."""
    fours = _fours(x.detach())
    places = _places(fours)
    kept = torch.zeros_like(fours).scatter_(-1, places, fours.gather(-1, places))
    rows, length = rows_of(tuple(x.shape))
    return kept.view(rows, -1)[:, :length].reshape(x.shape) if x.numel() else x
