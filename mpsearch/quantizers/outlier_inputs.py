"""Activations rescaled for every token, but for outlier columns in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats.split import OutlierInputsFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.halves import from_halves, to_halves
from mpsearch.quantizers.layout import Layout, layout_of
from mpsearch.quantizers.slices import Slices, check_finite
from mpsearch.quantizers.uniform import Uniform

_INTEGERS = Uniform()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierInputs:
    """Outlier columns as they are, the largest magnitude of what is left as each token's scale.

    A column is one term of the sums, whatever the token. Outliers are part of the parameters, which
    an activation like this finds at every call; their codes are 0.

    Source: Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale"
    (NeurIPS 2022, arXiv:2208.07339). The threshold counts in root mean squares of the tensor, and
    the number of columns has a limit (see the format). The rows of the weight that meet these
    columns are in 16 bits there, here in the weight's own format.
    """

    def fit(self, x: Tensor, formats: Sequence[OutlierInputsFormat],
            axes: Sequence[int] | None = None) -> list[Params]:
        """Outlier columns, and scales of the tokens, in each of *formats*.

        Raises:
            BadInput: the tensor is empty or has values that are not finite.
        """
        layout = layout_of(x.shape, formats[0], axes)
        rows = Slices.of(x, layout).x
        return [_params(rows, fmt) for fmt in formats]

    def encode(self, x: Tensor, params: Params, fmt: OutlierInputsFormat,
               axes: Sequence[int] | None = None) -> Tensor:
        """Codes of *x*, int32 and of its shape, 0 in outlier columns.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout = _checked(layout_of(x.shape, fmt, axes), params)
        rows = layout.to_slices(x.detach())
        if rows.numel():
            check_finite(rows.amin(), rows.amax())
        codes = _INTEGERS.encode(_without(rows, params.more["columns"]), params, fmt.rest)
        return layout.from_slices(codes).contiguous()

    def decode(self, codes: Tensor, params: Params, fmt: OutlierInputsFormat,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The numbers that *codes* and the outliers stand for, in the shape of the codes.

        Raises:
            BadInput: the codes do not fit *params*.
        """
        del shape  # it is that of the codes
        layout = _checked(layout_of(codes.shape, fmt, axes), params)
        rows = _INTEGERS.decode(layout.to_slices(codes), params, fmt.rest, dtype=dtype)
        outliers = from_halves(params.more["outliers"], params.more["exponent"])
        rows[:, params.more["columns"]] = outliers.to(dtype)
        return layout.from_slices(rows).contiguous()


def _params(rows: Tensor, fmt: OutlierInputsFormat) -> Params:
    columns = _outliers(rows, fmt)
    rest = _INTEGERS.fit(_without(rows, columns), [fmt.rest])[0]
    outliers, exponent = to_halves(rows[:, columns])
    return Params(scale=rest.scale, zero_point=rest.zero_point, more={
        "columns": columns, "outliers": outliers, "exponent": exponent})


def _outliers(rows: Tensor, fmt: OutlierInputsFormat) -> Tensor:
    """Columns that reach the threshold, the largest of them, in rising order; int64."""
    peaks = rows.abs().amax(0).double()
    limit = fmt.threshold * rows.double().square().mean().sqrt()
    largest = peaks.argsort(descending=True, stable=True)[:fmt.outliers(len(peaks))]
    chosen = largest[(peaks[largest] >= limit) & (peaks[largest] > 0)]
    return chosen.sort().values


def _without(rows: Tensor, columns: Tensor) -> Tensor:
    return rows.index_fill(1, columns, 0)


def _checked(layout: Layout, params: Params) -> Layout:
    if len(params.scale) != layout.slices:
        raise BadInput(
            f"{len(params.scale)} scales for a tensor of shape {layout.shape} that needs "
            f"{layout.slices}: fit the parameters on a tensor of this shape")
    return layout
