"""Taking units out of a residual branch: what that leaves of each layer in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.keep import Keep
from mpsearch.graph.branches import Branch
from mpsearch.graph.layers import Layers
from mpsearch.graph.operations import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The rows (*axis* 0) or columns (1) of a weight that stay, output channels first."""

    axis: int
    kept: tuple[int, ...]

    def part(self, rows: Tensor) -> Tensor:
        """What stays of a weight."""
        return rows.index_select(self.axis, self._places(rows))

    def whole(self, part: Tensor, like: Tensor) -> Tensor:
        """The weight with zeros in place of what went, which computes what *part* alone does."""
        return torch.zeros_like(like, dtype=part.dtype).index_copy(
            self.axis, self._places(like), part)

    def of_input(self, change: Change) -> Change:
        """*change* done to the channels that stay; the others become zero."""
        def narrowed(values: Tensor) -> Tensor:
            places = self._places(values)
            made = change(values.index_select(-1, places))
            return torch.zeros_like(values).index_copy(-1, places, made.to(values.dtype))

        return narrowed

    def _places(self, tensor: Tensor) -> Tensor:
        return torch.tensor(self.kept, device=tensor.device)


def cut_of(branch: Branch, layer: str, keep: Keep) -> Cut | None:
    """What *keep* leaves of *layer*'s weight; None where all of it stays.

    Where attention loses heads, its products still run for all of them: nothing reads the others.
    """
    narrowing = branch.narrowing
    if narrowing is None:
        return None
    kept = set(keep.kept)
    for axis, units in enumerate((narrowing.rows.get(layer), narrowing.columns.get(layer))):
        if units is not None:
            return Cut(axis=axis, kept=tuple(
                place for place, unit in enumerate(units) if unit in kept))
    return None


def branch_of(layers: Layers, layer: str, keep: Keep) -> Branch:
    """The branch of *layer*, which *keep* is about.

    Raises:
        BadInput: *keep* is about another branch, or another number of units.
    """
    branch = layers.branch(layer)
    if branch is None or branch.name != keep.branch:
        raise BadInput(f"layer '{layer}' is not in a residual branch '{keep.branch}': this is a "
                       "policy for another model")
    units = branch.narrowing.units if branch.narrowing else 1
    if keep.units != units:
        raise BadInput(f"branch '{branch.name}' has {units} units, not {keep.units}: this is a "
                       "policy for another model")
    return branch
