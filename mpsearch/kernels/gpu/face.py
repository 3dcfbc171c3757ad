"""What the operators call on a GPU, under the names that `mpsearch.kernels.reference` has."""

from __future__ import annotations

from torch import Tensor

from mpsearch.kernels.gpu import humming
from mpsearch.kernels.gpu.batched import batched, batched_sums
from mpsearch.kernels.gpu.depthwise import depthwise
from mpsearch.kernels.gpu.linear import linear as in_triton
from mpsearch.kernels.gpu.linear import linear_sums
from mpsearch.kernels.gpu.quantize import quantize
from mpsearch.kernels.packed import PackedWeight

__all__ = ["batched", "batched_sums", "depthwise", "linear", "linear_sums", "quantize"]


def linear(codes: Tensor, scale: Tensor, zero: Tensor, weight: PackedWeight,
           bias: Tensor | None) -> Tensor:
    """float32 [M, outputs]: by Humming if it was asked for and takes the layer, else by Triton."""
    made = humming.linear(codes, scale, zero, weight, bias) if humming.wanted() else None
    return in_triton(codes, scale, zero, weight, bias) if made is None else made
