"""Activations rescaled for every token, but for outlier columns in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.formats.split import OutlierInputsFormat
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.elementwise import Elementwise
from mpsearch.quantizers.halves import from_halves, to_halves
from mpsearch.quantizers.layout import Layout, layout_of
from mpsearch.quantizers.slices import Slices
from mpsearch.quantizers.uniform import Uniform

_INTEGERS = Uniform()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierInputs(Elementwise[OutlierInputsFormat]):
    """Outlier columns as they are, the largest magnitude of what is left as each token's scale.

    A column is one term of the sums, whatever the token. Every sample, an index of the first
    dimension, has outliers of its own (where the layer sums over that one, the whole tensor is a
    sample), so that no sample depends on the others of its batch. Outliers are part of the
    parameters, which an activation like this finds at every call; their codes are 0.

    Source: Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale"
    (NeurIPS 2022, arXiv:2208.07339). The threshold counts in root mean squares of a sample, and
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
        rows = _by_sample(Slices.of(x, layout).x, layout)
        return [_params(rows, fmt) for fmt in formats]

    def coded(self, rows: Tensor, params: Params, fmt: OutlierInputsFormat,
              layout: Layout) -> Tensor:
        """The integers of what is left, 0 in outlier columns."""
        rest = _without(_by_sample(rows, layout), params.more["columns"])
        return _INTEGERS.encode(rest.view(rows.shape), params, fmt.rest)

    def values(self, codes: Tensor, params: Params, fmt: OutlierInputsFormat,
               layout: Layout) -> Tensor:
        """What the integers and the outliers stand for."""
        rows = _INTEGERS.decode(codes, params, fmt.rest)
        outliers = from_halves(params.more["outliers"], params.more["exponent"])
        values = torch.where(params.more["columns"], outliers, _by_sample(rows, layout))
        return values.view(rows.shape)


def _by_sample(rows: Tensor, layout: Layout) -> Tensor:
    """*rows* [tokens, columns] as [samples, tokens of each, columns]."""
    samples = layout.shape[0] if 0 in layout.kept else 1
    return rows.reshape(samples, -1 if rows.numel() else 0, rows.shape[1])


def _params(rows: Tensor, fmt: OutlierInputsFormat) -> Params:
    """Outlier *columns* bool [samples, 1, columns]; *outliers* float16, 0 elsewhere, as *rows*."""
    columns = torch.stack([_outliers(own, fmt) for own in rows])[:, None]
    rest = _INTEGERS.fit(_without(rows, columns).flatten(0, 1), [fmt.rest])[0]
    outliers, exponent = to_halves(torch.where(columns, rows, 0), each=True)
    return Params(scale=rest.scale, zero_point=rest.zero_point, more={
        "columns": columns, "outliers": outliers, "exponent": exponent})


def _outliers(rows: Tensor, fmt: OutlierInputsFormat) -> Tensor:
    """Which columns reach the threshold; of too many the largest. bool [columns]."""
    peaks = rows.abs().amax(0).double()
    limit = fmt.threshold * rows.double().square().mean().sqrt()
    largest = peaks.argsort(descending=True, stable=True)[:fmt.outliers(len(peaks))]
    chosen = largest[(peaks[largest] >= limit) & (peaks[largest] > 0)]
    return torch.zeros_like(peaks, dtype=torch.bool).index_fill(0, chosen, value=True)


def _without(rows: Tensor, columns: Tensor) -> Tensor:
    return rows.masked_fill(columns, 0)
