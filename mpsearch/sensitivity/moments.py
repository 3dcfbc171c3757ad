"""Second moments of what enters a weight and of the gradients that come back to its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from mpsearch.core.types import LayerSpec
from mpsearch.graph.operations import argument
from mpsearch.graph.sites import Call, Site

_POSITIONS = 64
"""Positions (tokens, pixels) of a sample that are looked at; more tell little that is new."""


_WIDE = 4096
"""Outputs beyond which only the diagonal of the gradients' moment is kept (a vocabulary, say)."""


@dataclass(slots=True)
class Moments:
    """Sums, and after `over` means over positions.

    *inputs* is [groups, terms, terms]; for an embedding *reads* counts how often each row is
    read. *gradients* is [outputs, outputs], or its diagonal where there are very many.
    *positions* is how many there are a sample.
    """

    inputs: Tensor | None = None
    reads: Tensor | None = None
    gradients: Tensor | None = None
    positions: float = 0.0
    seen: int = 0
    seen_gradients: int = 0

    @staticmethod
    def bytes(layer: LayerSpec, *, gradients: bool) -> int:
        """What the moments of *layer* weigh, in float64."""
        rows = (layer.weight_shape or (0,))[0]
        terms = layer.weights // max(rows, 1)
        if layer.kind == "embedding":
            rows, terms = terms, 0
        return 8 * (terms**2 + (rows ** (1 + (rows <= _WIDE)) if gradients else 0))

    def add_input(self, rows: Tensor, positions: int) -> None:
        """Add inputs [groups, seen, terms]; *positions* is how many the batch has in all."""
        moment = (rows.transpose(1, 2) @ rows).double()
        self.inputs = moment if self.inputs is None else self.inputs + moment
        self.seen += rows.shape[1]
        self.positions += positions

    def add_reads(self, ids: Tensor, rows: int) -> None:
        """Add the *ids* of the rows that were read, of so many *rows*."""
        counts = torch.bincount(ids.flatten(), minlength=rows).double()
        self.reads = counts if self.reads is None else self.reads + counts
        self.seen += ids.numel()
        self.positions += ids.numel()

    def add_gradient(self, rows: Tensor) -> None:
        """Add output gradients [seen, outputs]."""
        moment = (rows.T @ rows if rows.shape[1] <= _WIDE else rows.square().sum(0)).double()
        self.gradients = moment if self.gradients is None else self.gradients + moment
        self.seen_gradients += rows.shape[0]

    def over(self, samples: int) -> Moments:
        """Means over positions, and positions a sample."""
        inputs, reads = (None if each is None else each / self.seen
                         for each in (self.inputs, self.reads))
        gradients = None if self.gradients is None else self.gradients / self.seen_gradients
        return Moments(inputs=inputs, reads=reads, gradients=gradients,
                       positions=self.positions / samples, seen=self.seen)


def input_rows(call: Call, site: Site, args: tuple[Any, ...], samples: int) -> tuple[Tensor, int]:
    """What the weight of *call* is multiplied with: [groups, seen, terms], and all positions.

    A convolution's inputs are its patches, in the order of the weight's own terms.
    """
    operand = call.operation.input
    assert operand is not None  # noqa: S101 - embeddings are asked for elsewhere
    x = args[operand.index].float()
    if call.operation.kind == "conv":
        return _patches(x, site)
    rows = x.reshape(-1, x.shape[-1])
    return rows[::_stride(len(rows) // samples)].unsqueeze(0), len(rows)


def gradient_rows(call: Call, g: Tensor, samples: int) -> Tensor:
    """The gradients at the positions that `input_rows` takes: [seen, outputs]."""
    if call.operation.kind == "conv":
        places = g.flatten(2)
        return places[:, :, ::_stride(places.shape[2])].transpose(1, 2).reshape(-1, g.shape[1])
    rows = g.reshape(-1, g.shape[-1])
    return rows[::_stride(len(rows) // samples)]


def _stride(positions: int) -> int:
    """An even step over one sample's positions that divides them, so that samples are alike."""
    step = max(1, positions // _POSITIONS)
    while positions % step:
        step -= 1
    return step


def _patches(x: Tensor, site: Site) -> tuple[Tensor, int]:
    settings = _convolution(site, x)
    weight: tuple[int, ...] = settings["kernel"]
    x = F.pad(x, settings["padding"])
    for dim, (size, stride, gap) in enumerate(zip(
            weight, settings["stride"], settings["dilation"], strict=True), start=2):
        x = x.unfold(dim, (size - 1) * gap + 1, stride)[..., ::gap]
    spatial = len(weight)
    x = x.flatten(2, 1 + spatial)  # [N, C, positions, *kernel]
    taken = x[:, :, ::_stride(x.shape[2])]
    groups: int = settings["groups"]
    taken = taken.transpose(1, 2).flatten(0, 1).flatten(2)  # [seen, C, taps]
    rows = taken.reshape(len(taken), groups, -1).transpose(0, 1)
    return rows, x.shape[0] * x.shape[2]


def _convolution(site: Site, x: Tensor) -> Mapping[str, Any]:
    """Kernel, stride, padding (as `F.pad` takes it), dilation and groups of a convolution."""
    spatial = x.dim() - 2
    names = [each.name for each in site.node.target._schema.arguments]  # type: ignore[union-attr]  # noqa: SLF001
    given = {name: argument(site.node, index) for index, name in enumerate(names)}
    kernel = tuple(given["weight"].meta["val"].shape[2:])
    stride, dilation = (_each(given.get(name), spatial, 1) for name in ("stride", "dilation"))
    padding = given.get("padding")
    if isinstance(padding, str):
        total = [gap * (size - 1) if padding == "same" else 0
                 for size, gap in zip(kernel, dilation, strict=True)]
        sides = [(each // 2, each - each // 2) for each in total]
    else:
        sides = [(each, each) for each in _each(padding, spatial, 0)]
    return {"kernel": kernel, "stride": stride, "dilation": dilation,
            "padding": [side for pair in reversed(sides) for side in pair],
            "groups": given.get("groups") or 1}


def _each(value: Any, spatial: int, default: int) -> tuple[int, ...]:
    if value is None:
        return (default,) * spatial
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * spatial if len(values) == 1 else values
