"""A weight's worst columns in 16 bits, the others as integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import rows_of
from mpsearch.core.formats.split import OutlierSplitFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import finite
from mpsearch.quantizers.code_shape import code_shape
from mpsearch.quantizers.halves import from_halves, to_halves
from mpsearch.quantizers.layout import layout_of
from mpsearch.quantizers.outlier_columns import Split, others, split
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.uniform import Uniform

_INTEGERS = Uniform()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierSplit:
    """Integers, but for the columns that would lose the most.

    A column is one term of the sum of every output channel. The outlier columns are stored beside
    the codes, as float16 that share a power of two, so that they are part of the parameters.

    Source: Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale"
    (NeurIPS 2022, arXiv:2208.07339), which takes the columns from the activations and the largest
    magnitude as scale; a weight alone shows its own outliers, and its errors are what counts here.
    """

    def fit(self, x: Tensor, formats: Sequence[OutlierSplitFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Outlier columns, and scales of the others, in each of *formats*.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        del axes  # a weight: all but the first
        Slices.of(x, layout_of(x.shape, formats[0].rest))  # what it refuses
        matrix = x.detach().reshape(rows_of(tuple(x.shape)))
        return [_params(matrix, fmt, each)
                for fmt, each in zip(formats, split(matrix, formats), strict=True)]

    def encode(self, x: Tensor, params: Params, fmt: OutlierSplitFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """Codes of the columns that are no outliers, int32 [rows, columns].

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        del axes
        matrix = x.detach().reshape(rows_of(tuple(x.shape)))
        left = _left(params, fmt, tuple(x.shape))
        codes = _INTEGERS.encode(finite(matrix)[:, left], params, fmt.rest)
        return codes.reshape(code_shape(fmt, x.shape))

    def decode(self, codes: Tensor, params: Params, fmt: OutlierSplitFormat,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The weight of this *shape* that *codes* and the outliers stand for.

        Raises:
            BadInput: the codes do not fit *params*.
        """
        del axes
        own = tuple(codes.shape if shape is None else shape)
        left = _left(params, fmt, own)
        values = torch.empty(rows_of(own), dtype=dtype, device=codes.device)
        values[:, left] = _INTEGERS.decode(
            codes.reshape(fmt.codes(own)), params, fmt.rest, dtype=dtype)
        outliers = from_halves(params.more["outliers"], params.more["exponent"])
        values[:, params.more["columns"].long()] = outliers.to(dtype)
        return values.view(own)


def _params(matrix: Tensor, fmt: OutlierSplitFormat, found: Split) -> Params:
    outliers, exponent = to_halves(matrix[:, found.columns])
    _, bits = fmt.tables(tuple(matrix.shape))["columns"]
    index = torch.uint16 if bits == torch.uint16.itemsize * 8 else torch.uint32
    return Params(scale=found.rest.scale, zero_point=found.rest.zero_point, more={
        "columns": found.columns.to(index), "outliers": outliers.contiguous(),
        "exponent": exponent})


def _left(params: Params, fmt: OutlierSplitFormat, shape: tuple[int, ...]) -> Tensor:
    """The columns that are no outliers, if *params* are those of a weight of this *shape*."""
    rows, length = rows_of(shape)
    count = fmt.outliers(length)
    columns = params.more["columns"].long()
    if (len(columns) != count or params.more["outliers"].numel() != rows * count
            or len(params.scale) != fmt.slices(shape)):
        raise BadInput(
            f"{len(params.scale)} scales and {len(columns)} outlier columns for a weight of shape "
            f"{shape} that needs {fmt.slices(shape)} and {count}: fit the parameters on a weight "
            "of this shape")
    return others(columns, length)
