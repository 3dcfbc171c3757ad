"""Where in a captured graph the layers run: call sites, their operands, and how to re-run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Node

from mpsearch.graph.operations import Change, Operand, Operation, attention
from mpsearch.graph.orientation import changed_rows, viewed

Changes = Mapping[str, Mapping[str, Change]]
"""For each layer name and operand (``weight``, ``input``, ``other``), what is done to it.

A weight's change receives the parameter with its output channels first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One layer inside one call site.

    *path* are the view operations between the stored parameter and the operand, in order.
    *summed* are the dimensions of the parameter that are not output channels: the same for all
    calls that read it, so that all see one quantized weight.
    """

    layer: str
    operation: Operation
    parameter: Node | None = None
    path: tuple[Node, ...] = ()
    summed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One operation of the graph that carries layers: one, or the two of fused attention."""

    node: Node
    calls: tuple[Call, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that run here."""
        return tuple(call.layer for call in self.calls)

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], changes: Changes,
            parameters: Mapping[Node, Tensor]) -> Any:
        """The operation's output on *args*, with operands changed.

        *parameters* gives the stored tensor of each call's parameter node.
        """
        if len(self.calls) > 1:
            first, second = (changes.get(call.layer, {}) for call in self.calls)
            if first or second:
                return attention(args, kwargs, query_key=first, probability_value=second)
            return self.node.target(*args, **kwargs)  # type: ignore[operator]
        call = self.calls[0]
        return self._run_one(call, args, kwargs, changes.get(call.layer, {}), parameters)

    def _run_one(self, call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any],
                 changes: Mapping[str, Change], parameters: Mapping[Node, Tensor]) -> Any:
        operands = list(args)
        if "weight" in changes and call.parameter is not None:
            assert call.operation.weight is not None  # noqa: S101 - a parameter is a weight's
            weight = changed_rows(parameters[call.parameter], changes["weight"], call.summed)
            operands[call.operation.weight.index] = viewed(weight, call.path)
        for name in ("input", "other"):
            operand: Operand | None = getattr(call.operation, name)
            if name in changes and operand is not None:
                operands[operand.index] = changes[name](operands[operand.index])
        return self.node.target(*operands, **kwargs)  # type: ignore[operator]


def reduced_axes(call: Call, operand: str, dims: int) -> tuple[int, ...]:
    """Dimensions of an activation operand with *dims* dimensions that the layer sums over."""
    part: Operand = getattr(call.operation, operand)
    return part.summed(dims)
