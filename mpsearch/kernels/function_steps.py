"""GELU, softmax and layer norm in the steps of the compiled kernels, from torch alone.

Every step is an operation of float32 that torch rounds by itself, so that the bits are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

_EVEN = 12582912.0
_LEAST = -86.5
_TURN, _HIGH, _LOW = 1.44269504, 0.693359375, -0.00021219444
_EXP = (0.5, 0.16666577756404877, 0.041666556149721146, 0.008363173343241215,
        0.0013926175888627769)
_END = 5.2
_ABOVE = (0.398942262, 0.0325390734, 0.00460831681, 0.000156806025, 6.40756025e-06, 2.47360248e-08)
_BELOW = (1.0, 0.248229697, 0.0279235691, 0.0018168923, 7.04784179e-05, 1.25898544e-06)
_SUMMED, _MANTISSA = 16, 23


def exponential(x: Tensor) -> Tensor:
    """The exponential of numbers up to 0; 0 below -86.5."""
    own = x.clamp(min=_LEAST)
    turns = own * _TURN + _EVEN
    n = turns - _EVEN
    r = (own - n * _HIGH) - n * _LOW
    y = (r * r * _polynomial(_EXP, r) + r) + 1.0
    bits = y.view(torch.int32) + (turns.view(torch.int32) << _MANTISSA)
    return torch.where(x < _LEAST, 0.0, bits.view(torch.float32))


def gelu(x: Tensor) -> Tensor:
    """The numbers times the normal distribution's function of x."""
    own = x.clamp(-_END, _END)
    square = own * own
    return x * (own * _polynomial(_ABOVE, square) / _polynomial(_BELOW, square) + 0.5)


def softmax(x: Tensor) -> Tensor:
    """Of each row of *x* [M, K]; 0 where all of it is -infinity."""
    own = pad(x, (0, -x.shape[1] % _SUMMED), value=-math.inf)
    top = own.amax(1, keepdim=True)
    raised = exponential(own - top)
    share = 1.0 / _folded(raised)
    return torch.where(top == -math.inf, 0.0, raised * share)[:, : x.shape[1]]


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Of each row of *x* [M, K]."""
    length = x.shape[1]
    rest = (0, -length % _SUMMED)
    less = x - _folded(pad(x, rest)) / float(length)
    spread = _folded(pad(less * less, rest)) / float(length) + eps
    unit = 1.0 / spread.double().sqrt().float()  # torch's own in float32 is not always the nearest
    out = less * unit
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    y = torch.full_like(x, coefficients[-1])
    for each in reversed(coefficients[:-1]):
        y = y * x + each
    return y


def _folded(x: Tensor) -> Tensor:
    """Sums of rows [M, K], K a multiple of 16, over 16 lanes and then over these in halves."""
    lanes = x.view(len(x), -1, _SUMMED)
    total = lanes[:, 0]
    for k in range(1, lanes.shape[1]):
        total = total + lanes[:, k]
    half = _SUMMED // 2
    while half:
        total = total[:, :half] + total[:, half: 2 * half]
        half //= 2
    return total
