"""Which elements of a tensor share a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn.functional import pad

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A tensor seen as [slices, length]; the elements of one slice share a scale.

    *shape* is the tensor's, *summed* the dimensions that the layer sums over, *group* the run
    length inside each sum (None: the sum is one run). Where *group* does not divide a sum, its
    last run is filled up with zeros, which widen no range. Where 0 has a code they add no error
    either; a search for levels without 0 leaves them out.
    """

    shape: tuple[int, ...]
    summed: tuple[int, ...]
    group: int | None = None

    @property
    def kept(self) -> tuple[int, ...]:
        """The dimensions that the layer does not sum over."""
        return tuple(dim for dim in range(len(self.shape)) if dim not in self.summed)

    @property
    def sums(self) -> int:
        """Sums: one for each index of the kept dimensions."""
        return math.prod(self.shape[dim] for dim in self.kept)

    @property
    def terms(self) -> int:
        """Elements in each sum."""
        return math.prod(self.shape[dim] for dim in self.summed)

    @property
    def slices(self) -> int:
        """Scales of the tensor."""
        return self.sums * self._runs

    @property
    def _runs(self) -> int:
        return 1 if self.group is None else math.ceil(self.terms / self.group)

    def to_slices(self, x: Tensor) -> Tensor:
        """*x* as [slices, length]: a view where strides and run lengths allow it.

        Raises:
            BadInput: *x* has another shape than the layout.
        """
        if tuple(x.shape) != self.shape:
            raise BadInput(f"a tensor of shape {tuple(x.shape)} where {self.shape} was laid out")
        rows = x.permute((*self.kept, *self.summed)).reshape(self.sums, self.terms)
        if self.group is None:
            return rows
        missing = self._runs * self.group - self.terms
        return (pad(rows, (0, missing)) if missing else rows).reshape(self.slices, self.group)

    def from_slices(self, slices: Tensor) -> Tensor:
        """The tensor whose `to_slices` is *slices*; the filling is dropped."""
        order = (*self.kept, *self.summed)
        rows = slices.reshape(self.sums, -1)[:, : self.terms]
        x = rows.reshape([self.shape[dim] for dim in order])
        return x.permute([order.index(dim) for dim in range(len(order))])


def layout_of(shape: Sequence[int], fmt: Format, axes: Sequence[int] | None = None) -> Layout:
    """How a tensor of *shape* is sliced for *fmt*, where a layer sums over *axes*.

    ``tensor``: everything is one slice. ``channel`` and ``token``: one slice for each index of
    the dimensions outside *axes*. ``group:N``: runs of N inside each of those, the summed
    dimensions in row-major order. *axes* may count from the end; None means all but the first.

    Raises:
        BadInput: an axis that the tensor does not have.
    """
    dims = len(shape)
    if fmt.granularity == "tensor":
        return Layout(shape=tuple(shape), summed=tuple(range(dims)))
    chosen = range(1, dims) if axes is None else axes
    if any(not -dims <= axis < dims for axis in chosen):
        raise BadInput(f"axes {tuple(chosen)} are not all dimensions of shape {tuple(shape)}")
    summed = tuple(sorted({axis % dims for axis in chosen}))
    layout = Layout(shape=tuple(shape), summed=summed, group=fmt.group_size)
    whole = layout.group is None or layout.group >= layout.terms
    return replace(layout, group=None) if whole else layout
