"""Whether parameters are those of a tensor of a given shape."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.layout import Layout, layout_of
from mpsearch.quantizers.slices import check_finite


def layout_for(shape: Sequence[int], params: Params, fmt: Format,
               axes: Sequence[int] | None) -> Layout:
    """The layout of a tensor of *shape* in *fmt*, which *params* must fit.

    Raises:
        BadInput: there are more or fewer scales than the layout has slices.
    """
    layout = layout_of(shape, fmt, axes)
    if len(params.scale) != layout.slices:
        raise BadInput(
            f"{len(params.scale)} scales for a tensor of shape {layout.shape} that needs "
            f"{layout.slices}: fit the parameters on a tensor of this shape")
    return layout


def finite(rows: Tensor) -> Tensor:
    """*rows* as they are.

    Raises:
        BadInput: a number is not finite.
    """
    if rows.numel():
        check_finite(rows.amin(), rows.amax())
    return rows
