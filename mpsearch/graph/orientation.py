"""Which dimensions of a stored weight are output channels, however it is turned before use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.fx import Node


def summed_dims(shape: tuple[int, ...], path: Sequence[Node],
                axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """Dimensions of a stored tensor of *shape* that its layer sums over.

    *path* are the operations that lead from it to the operand, of which the layer sums over
    *axes*. They are run on a tensor of positions: what changes along a summed axis of the operand
    is a summed dimension of the stored tensor. None if a dimension is part of both.
    """
    places = torch.arange(math.prod(shape), dtype=torch.int32).view(shape)
    places = viewed(places, path)
    inside = {axis % places.dim() for axis in axes}
    first = tuple(slice(None) if dim in inside else 0 for dim in range(places.dim()))
    other = tuple(0 if dim in inside else slice(None) for dim in range(places.dim()))
    summed, kept = (_varying(places[line], shape) for line in (first, other))
    single = {dim for dim, size in enumerate(shape) if dim and size == 1}
    return None if summed & kept else tuple(sorted(summed | single))


def viewed(tensor: Tensor, path: Sequence[Node]) -> Tensor:
    """*tensor* after the operations of *path*, which lead from a stored tensor to an operand."""
    for view in path:
        tensor = view.target(tensor, *view.args[1:], **view.kwargs)  # type: ignore[operator]
    return tensor


def weight_rows(parameter: Tensor, summed: Sequence[int]) -> Tensor:
    """The stored *parameter* with its output channels first: one dimension for all of them."""
    kept = _kept(parameter, summed)
    rows = parameter.permute(*kept, *summed)
    return rows.flatten(0, len(kept) - 1) if kept else rows.unsqueeze(0)


def changed_rows(parameter: Tensor, change: Callable[[Tensor], Tensor],
                 summed: Sequence[int]) -> Tensor:
    """The stored *parameter* after *change*, which sees it with output channels first."""
    order = (*_kept(parameter, summed), *summed)
    rows = change(weight_rows(parameter, summed)).reshape([parameter.shape[dim] for dim in order])
    return rows.permute([order.index(dim) for dim in range(len(order))]).contiguous()


def _kept(parameter: Tensor, summed: Sequence[int]) -> tuple[int, ...]:
    return tuple(dim for dim in range(parameter.dim()) if dim not in summed)


def _varying(places: Tensor, shape: tuple[int, ...]) -> set[int]:
    coordinates = torch.unravel_index(places.flatten(), shape)
    return {dim for dim, values in enumerate(coordinates) if bool((values != values[0]).any())}
