"""The backend that runs a policy in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mpsearch.backends.integer_only.compile import Compiled, compiled
from mpsearch.backends.integer_only.policy import Decisions
from mpsearch.backends.whole import require_whole
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.types import Scheme, StaticRange
from mpsearch.fakequant.changes import FakeQuantizer
from mpsearch.graph.execute import Program

_WIDTHS = (8, 32)


class IntegerModule(nn.Module):
    """A captured model as integers: quantized on entry, and no floating point until the logits.

    Takes the model's inputs, any batch size, and returns the numbers that its first output's
    integers stand for.
    """

    def __init__(self, program: Program, made: Compiled) -> None:
        super().__init__()
        self._program, self.compiled = program, made
        self._names = [node.name for node in program.nodes if node.op == "placeholder"]

    def forward(self, *args: Tensor) -> Tensor:
        """The output under the policy, in float32."""
        codes = self.integers(self.quantized(args))
        return (codes.double() * float(self.compiled.grid.scale)).float()[:args[0].shape[0]]

    def quantized(self, args: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The integers of the inputs, by name: the nearest ones on their grids.

        Raises:
            BadInput: an input has values that are not finite.
        """
        env = {node.name: value for node, value in self._program.start(args).items()
               if node.op == "placeholder"}
        codes = {}
        for name in self._names:
            grid, value = self.compiled.inputs[name], env[name]
            if grid is not None:
                _require_finite(value, name)
                value = (value.float() / float(grid.scale)).round()
                value = value.clamp(grid.low, grid.high).to(grid.dtype)
            codes[name] = value
        return codes

    def integers(self, codes: Mapping[str, Tensor]) -> Tensor:
        """The output's integers from those of the inputs: integer arithmetic alone."""
        return self.compiled.steps.run(codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerOnly:
    """Integers from the quantized input to the logits, for targets without floating point.

    I-ViT (Li and Gu, ICCV 2023): Shiftmax, ShiftGELU and I-LayerNorm, and multiplications by
    b * 2**-c between layers. Layers take the integers of the policy. Between them integers have so
    many *bits* and power-of-two scales that follow from the policy's ranges and the weights, as in
    interval arithmetic: nothing overflows, and nothing is calibrated beside the policy. *gelu* is
    ``shift`` for I-ViT's ShiftGELU, ``lambda`` for that with I-Segmenter's way with long tails, or
    ``tanh`` for a closer form.

    Raises:
        BadInput: bits outside 8 to 32.
    """

    bits: int = 32
    gelu: Literal["tanh", "lambda", "shift"] = "tanh"

    def __post_init__(self) -> None:
        if not _WIDTHS[0] <= self.bits <= _WIDTHS[1]:
            raise BadInput(f"integer_only runs with {_WIDTHS[0]} to {_WIDTHS[1]} bits between "
                           f"layers, not {self.bits}")

    def __call__(self, program: Program, fake: FakeQuantizer, schemes: Mapping[str, Scheme],
                 ranges: Mapping[str, Mapping[str, StaticRange]]) -> IntegerModule:
        """The model under *schemes*, every one of them integers with static ranges.

        Raises:
            Unsupported: a scheme, or an operation of the model, that has no integer form here; or
                the model is not on the CPU.
            BadInput: a layer that the model does not have.
        """
        if program.device is not None and program.device.type != "cpu":
            raise Unsupported(f"the model is on {program.device} and integer_only multiplies "
                              "matrices of int32 on the CPU alone: move the model there")
        for layer in schemes:
            fake.layers.call(layer)
        require_whole(schemes, "integer_only")
        decided = Decisions(program=program, fake=fake, schemes=schemes, ranges=ranges)
        with torch.no_grad():
            made = compiled(decided, bits=self.bits, gelu=self.gelu)
        return IntegerModule(program, made)


def _require_finite(value: Tensor, name: str) -> None:
    if not bool(value.isfinite().all()):
        raise BadInput(f"cannot quantize the input '{name}': it has values that are not finite "
                       "(NaN or infinite): check the data")
