"""What quantizers share that give every number a code of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mpsearch.core.formats import Format
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.checked import finite, layout_for
from mpsearch.quantizers.layout import Layout, layout_of

F = TypeVar("F", bound=Format)


def by_layout(x: Tensor, formats: Sequence[F], axes: Sequence[int] | None,
              fit: Callable[[Layout, list[F]], Sequence[Params]]) -> list[Params]:
    """What *fit* makes of each layout and the *formats* in which *x* has it, in their order."""
    layouts = [layout_of(x.shape, fmt, axes) for fmt in formats]
    found: dict[int, Params] = {}
    for layout in dict.fromkeys(layouts):
        chosen = [i for i, own in enumerate(layouts) if own == layout]
        found.update(zip(chosen, fit(layout, [formats[i] for i in chosen]), strict=True))
    return [found[i] for i in range(len(formats))]


class Elementwise(ABC, Generic[F]):
    """The way of a tensor to codes and back: laid out, checked, and put in its shape again.

    A kind fits parameters, and says what is done to the rows of a layout, [slices, length].
    """

    __slots__ = ()

    @abstractmethod
    def coded(self, rows: Tensor, params: Params, fmt: F, layout: Layout) -> Tensor:
        """The int32 codes of *rows*, which are finite and of any floating-point type."""

    @abstractmethod
    def values(self, codes: Tensor, params: Params, fmt: F, layout: Layout) -> Tensor:
        """The numbers that *codes*, rows of them, stand for, in float32."""

    def encode(self, x: Tensor, params: Params, fmt: F,
               axes: Sequence[int] | None = None) -> Tensor:
        """Codes of *x*, int32 and of its shape, each within ``fmt.code_range``.

        Raises:
            BadInput: the tensor has values that are not finite, or does not fit *params*.
        """
        layout = layout_for(x.shape, params, fmt, axes)
        rows = finite(layout.to_slices(x.detach()))
        return layout.from_slices(self.coded(rows, params, fmt, layout)).contiguous()

    def decode(self, codes: Tensor, params: Params, fmt: F,
               axes: Sequence[int] | None = None, *, dtype: torch.dtype = torch.float32,
               shape: Sequence[int] | None = None) -> Tensor:
        """The numbers that *codes* stand for, in their shape; computed in float32.

        Raises:
            BadInput: the codes do not fit *params*.
        """
        del shape  # it is that of the codes
        layout = layout_for(codes.shape, params, fmt, axes)
        values = self.values(layout.to_slices(codes), params, fmt, layout)
        return layout.from_slices(values.to(dtype)).contiguous()
