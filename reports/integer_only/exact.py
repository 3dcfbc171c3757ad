"""Exact functions on an integer program's own grids: float64, for comparison only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from mpsearch.backends.integer_only.functions import SOFTMAX_BITS, Gelu, Normalise, Softmax
from mpsearch.backends.integer_only.layer_norm import PLACES as NORMAL_PLACES
from mpsearch.backends.integer_only.steps import Steps

FUNCTIONS = {"softmax": Softmax, "gelu": Gelu, "layernorm": Normalise}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """The function that *integer* stands for, its result rounded to the nearest integer."""

    integer: Softmax | Gelu | Normalise

    def __call__(self, codes: Tensor) -> Tensor:
        x = codes.double()
        if isinstance(self.integer, Softmax):
            made = (x * 2.0 ** -self.integer.places).softmax(-1) * 2.0 ** (SOFTMAX_BITS - 1)
        elif isinstance(self.integer, Gelu):
            made = F.gelu(x * 2.0 ** -self.integer.places) * 2.0 ** self.integer.places
        else:
            y = x - x.mean(-1, keepdim=True)
            made = y / (y.square().sum(-1, keepdim=True) + self.integer.epsilon).sqrt()
            made = made * 2.0 ** NORMAL_PLACES
        return made.round().to(self.integer.dtype)


def with_integer(module, kept):
    """*module* with integers only in the functions *kept*; the others are exact."""
    kinds = tuple(FUNCTIONS.values())
    own = tuple(FUNCTIONS[name] for name in kept)
    steps = [replace(step, op=Exact(integer=step.op))
             if isinstance(step.op, kinds) and not isinstance(step.op, own) else step
             for step in module.compiled.steps.steps]
    made = type(module)(module._program, replace(
        module.compiled, steps=Steps(steps, module.compiled.steps.result)))
    return made.eval()
