"""Whether parameters are those of a tensor of a given shape, and its numbers finite."""

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
    check_scales(params, layout.slices, shape)
    return layout


def check_scales(params: Params, needed: int, shape: Sequence[int]) -> None:
    """Refuse *params* that have not as many scales as a tensor of *shape* has *needed*.

    Raises:
        BadInput: there are more or fewer.
    """
    if len(params.scale) != needed:
        raise BadInput(
            f"{len(params.scale)} scales for a tensor of shape {tuple(shape)} that needs "
            f"{needed}: fit the parameters on a tensor of this shape")


def finite(rows: Tensor) -> Tensor:
    """*rows* as they are.

    Raises:
        BadInput: a number is not finite.
    """
    if rows.numel():
        check_finite(*rows.aminmax())
    return rows
