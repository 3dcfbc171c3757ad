"""Operations of the graph whose products are summed exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from mpsearch.backends.exact.products import added, convolution, linear, matmul
from mpsearch.backends.exact.steps import Steps, activation_steps, weight_steps
from mpsearch.backends.functions import own_functions, own_softmax
from mpsearch.backends.integer.weights import of_runs
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program
from mpsearch.graph.operations import attention
from mpsearch.graph.sites import Call, Changes, Site, reduced_axes

_BIAS = {"aten.linear.default": 2, "aten.addmm.default": 0, "aten.baddbmm.default": 0}
_CONV_BIAS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactCall:
    """A layer under *scheme*, which has integers only."""

    call: Call
    scheme: Scheme
    ranges: Mapping[str, StaticRange]
    weight: Steps | None
    run: int

    @classmethod
    def of(cls, fake: FakeQuantizer, call: Call, scheme: Scheme,
           ranges: Mapping[str, StaticRange]) -> ExactCall:
        """With the layer's weight encoded, if it has one.

        Raises:
            Unsupported: what shares a scale in the stored weight is no run of what is summed.
        """
        if call.parameter is None:
            return cls(call=call, scheme=scheme, ranges=ranges, weight=None, run=0)
        fmt = scheme.weight
        assert isinstance(fmt, IntFormat)  # noqa: S101 - it was checked
        weight = weight_steps(fake, call, fmt)
        length = fake.weights.rows(call.layer)[0].numel()
        run = min(fmt.group_size or length, length)
        of_runs(_summed_last(call, weight.scale), run, call.layer)  # refuses what no product takes
        return cls(call=call, scheme=scheme, ranges=ranges, weight=weight, run=run)

    def steps(self, operand: str, x: Tensor, axes: tuple[int, ...]) -> Steps:
        """*x* as *operand* of the layer, which sums over *axes*."""
        fmt = getattr(self.scheme, operand)
        static = self.ranges.get(operand) if fmt.calibrated else None
        return activation_steps(x, fmt, static, axes)

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """[..., M, N] of the two activations [..., M, K] and [..., K, N]."""
        out = matmul(self.steps("input", left, (-1,)), self.steps("other", right, (-2,)),
                     bits=self._bits)
        return out.to(left.dtype)

    def weighted(self, node: Node, operands: tuple[Any, ...]) -> Tensor:
        """The output of the operation *node* on *operands*, one of which is the weight."""
        operation, weight = self.call.operation, self.weight
        assert operation.input is not None  # noqa: S101 - what has an input format has an input
        assert weight is not None  # noqa: S101 - it was encoded
        x: Tensor = operands[operation.input.index]
        own = self.steps("input", x, reduced_axes(self.call, "input", x.dim()))
        if operation.kind == "conv":
            return self._convolved(node, operands, own).to(x.dtype)
        if operation.weight.axes != (-2,):  # type: ignore[union-attr]
            weight = Steps(*(table.transpose(-2, -1) for table in weight))
        out = linear(Steps(*map(_row, own)), Steps(*map(_column, weight)), self.run,
                     bits=self._bits)
        out = out.squeeze(-2) if x.dim() == 1 else out
        out = out.squeeze(-1) if weight.whole.dim() == 1 else out
        at = _BIAS.get(str(node.target))
        bias = operands[at] if at is not None and at < len(operands) else None
        return added(out, bias).to(x.dtype)

    def _convolved(self, node: Node, operands: tuple[Any, ...], x: Steps) -> Tensor:
        assert self.weight is not None  # noqa: S101 - it was encoded

        def convolve(counts: Tensor, filters: Tensor) -> Tensor:
            return node.target(counts, filters, None, *operands[_CONV_BIAS + 1:])  # type: ignore[operator,no-any-return]

        out = convolution(x, self.weight, self.run, convolve, bits=self._bits)
        bias = operands[_CONV_BIAS] if len(operands) > _CONV_BIAS else None
        over = (-1, *[1] * (self.weight.whole.dim() - 2))
        return added(out, None if bias is None else bias.view(over))

    @property
    def _bits(self) -> int:
        """Those of the wider operand."""
        own = self.scheme
        both = own.input, own.other if self.call.parameter is None else own.weight
        return max(fmt.bits for fmt in both if isinstance(fmt, IntFormat))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactSite(Site):
    """A site whose calls are summed as *exact* says; those that are None, as the graph does."""

    exact: tuple[ExactCall | None, ...]
    softmax: Callable[[Tensor], Tensor] | None = None

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], changes: Changes,
            parameters: Mapping[Node, Tensor]) -> Any:
        """The operation's output on *args*."""
        if not any(self.exact):
            return super().run(args, kwargs, changes, parameters)
        if len(self.calls) > 1:
            parts = [{} if own else changes.get(call.layer, {})
                     for own, call in zip(self.exact, self.calls, strict=True)]
            first, second = (own.product if own else torch.matmul for own in self.exact)
            own_softmax = {} if self.softmax is None else {"softmax": self.softmax}
            return attention(args, kwargs, query_key=parts[0], probability_value=parts[1],
                             products=(first, second), **own_softmax)
        own = self.exact[0]
        assert own is not None  # noqa: S101 - it is the only one
        if own.weight is not None:
            return own.weighted(self.node, args)
        return self._product(own, args)

    def _product(self, own: ExactCall, args: tuple[Any, ...]) -> Tensor:
        operand = own.call.operation.input
        assert operand is not None  # noqa: S101 - products have inputs
        left, right = args[operand.index: operand.index + 2]
        out = own.product(_row(left), _column(right))
        out = out.squeeze(-2) if left.dim() == 1 else out
        out = out.squeeze(-1) if right.dim() == 1 else out
        return out + args[0] if operand.index else out


def _summed_last(call: Call, table: Tensor) -> Tensor:
    """One number for each weight, as the operation reads them, with what is summed as columns."""
    if call.operation.kind == "conv":
        return table.flatten(1)
    weight = call.operation.weight
    assert weight is not None  # noqa: S101 - the call has a weight
    turned = table if weight.axes != (-2,) or table.dim() == 1 else table.transpose(-2, -1)
    return turned.reshape(-1, turned.shape[-1])


def _row(x: Tensor) -> Tensor:
    return x if x.dim() > 1 else x[None]


def _column(x: Tensor) -> Tensor:
    return x if x.dim() > 1 else x[:, None]


def exactly(program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
            ranges: Mapping[str, Mapping[str, StaticRange]]) -> Program:
    """*program* with exact sums wherever both operands of a product are integers."""
    def exact(call: Call) -> ExactCall | None:
        own = schemes.get(call.layer, Scheme()).for_kind(call.operation.kind)
        second = own.other if call.parameter is None else own.weight
        if not (isinstance(own.input, IntFormat) and isinstance(second, IntFormat)):
            return None
        return ExactCall.of(fake, call, own, ranges.get(call.layer, {}))

    return Program(program.traced, [
        ExactSite(node=site.node, calls=site.calls, exact=tuple(map(exact, site.calls)),
                  softmax=own_softmax(site.calls, schemes))
        for site in program.sites.values()], instead=own_functions(program, schemes))
