"""Linear layers by the package `humming-kernels`, where MPSEARCH_GPU=humming asks for them.

Its products are exact sums of integers, but what it returns has 16 bits: sums keep 11 significant
ones. That is why it is asked for by name, and Triton, whose results are those of the CPU to the
bit, is what runs otherwise. Scales and the bias are applied here, in float32.

https://github.com/vllm-project/humming
"""

from __future__ import annotations

import importlib.util
import math
import os
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from mpsearch.core.errors import BadInput
from mpsearch.kernels.gpu.place import at
from mpsearch.kernels.packed import PackedWeight

VARIABLE = "MPSEARCH_GPU"
_CHOICES = ("triton", "humming")
_OLDEST = 7, 5
_BLOCK = 64  # divides inputs and outputs
_LARGEST = 65504.0  # of float16
_WIDEST_CODE = 128
_TEST = 5, 128, 256  # rows, outputs, inputs


def wanted() -> bool:
    """Whether Humming was asked for.

    Raises:
        BadInput: MPSEARCH_GPU names something else, or the package is not installed.
    """
    choice = os.environ.get(VARIABLE) or _CHOICES[0]
    if choice not in _CHOICES:
        raise BadInput(f"unknown {VARIABLE} '{choice}': use one of {', '.join(_CHOICES)}")
    if choice == _CHOICES[1] and importlib.util.find_spec("humming") is None:
        raise BadInput(f"{VARIABLE}=humming needs a package: pip install 'mpsearch[gpu]', or leave "
                       f"{VARIABLE} out")
    return choice == _CHOICES[1]


def linear(codes: Tensor, scale: Tensor, zero: Tensor, weight: PackedWeight,
           bias: Tensor | None) -> Tensor | None:
    """float32 [M, outputs] of *codes* int8 [M, K], or None for what it does not multiply.

    It takes a scale for each output, whole blocks of 64 inputs and outputs, weights around zero,
    and activations without a zero point (of fewer than 8 bits in 8).
    """
    if not len(codes) or not works(weight.bits, codes.device) or bool(zero.any()):
        return None
    layer = _layer_of(weight)
    if layer is None:
        return None
    out = layer(codes) * weight.scales()[:, 0] * scale.view(-1, 1)
    return out if bias is None else out + bias


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A weight as Humming holds it. *unit* is a power of two by which sums fit 16 bits."""

    own: Any
    unit: float

    @classmethod
    def of(cls, steps: Tensor, bits: int) -> Self | None:
        """For *steps* int32 [outputs, inputs] around zero; None if it does not take them."""
        outputs, inputs = steps.shape
        half = 1 << (bits - 1)
        if outputs % _BLOCK or inputs % _BLOCK or not _within(steps, -half, half - 1):
            return None
        from humming import ops
        from humming.layer import HummingLayer

        unit = 2.0 ** min(0, math.floor(math.log2(_LARGEST / (inputs * _WIDEST_CODE * half))))
        with at(steps):
            own = HummingLayer(
                shape_n=outputs, shape_k=inputs, torch_dtype=torch.float16,
                weight_config={"dtype": f"uint{bits}", "scale_type": "tensor"},
                input_config={"dtype": "int8", "quant_mode": "static_tensor"}).to(steps.device)
            own.load_from_tensors({
                "weight": ops.pack_weight((steps + half).contiguous(), bits),
                "weight_scale": torch.full((1,), unit, device=steps.device),
                "input_scale": torch.ones(1, device=steps.device)})
            own.transform()
        return cls(own=own, unit=unit)

    def __call__(self, codes: Tensor) -> Tensor:
        """Sums [M, outputs] in float32, each rounded to 11 significant bits."""
        with at(codes):
            out: Tensor = self.own(codes.contiguous())
        return out.float() / self.unit


@cache
def works(bits: int, device: torch.device) -> bool:
    """Whether Humming runs here and gives the right sums at this width; if not, says so once."""
    if not _capable(device):
        return False
    try:
        right = _is_right(bits, device)
    except (RuntimeError, ValueError, AssertionError, ImportError, OSError, TypeError) as problem:
        said = (str(problem).splitlines() or [type(problem).__name__])[0]
        warnings.warn(f"Humming does not run for {bits}-bit weights ({said}): Triton computes "
                      "instead", RuntimeWarning, stacklevel=2)
        return False
    if not right:
        warnings.warn(f"Humming gave wrong sums for {bits}-bit weights here: Triton computes "
                      "instead", RuntimeWarning, stacklevel=2)
    return right


def _is_right(bits: int, device: torch.device) -> bool:
    """Whether sums of codes at their limits are exact, up to their rounding to 16 bits."""
    rows, outputs, inputs = _TEST
    half = 1 << (bits - 1)
    draw = torch.Generator().manual_seed(bits)
    mixed = torch.rand((outputs, inputs), generator=draw) < 0.5  # noqa: PLR2004
    steps = torch.where(mixed, -half, half - 1).to(torch.int32)
    steps[0], steps[1] = -half, half - 1
    codes = torch.randint(-128, 128, (rows, inputs), generator=draw)
    codes[0], codes[1] = -128, 127
    layer = Layer.of(steps.to(device), bits)
    if layer is None:
        return False
    wanted_sums = (codes @ steps.long().T).double() * layer.unit
    found = layer(codes.to(device, torch.int8)).cpu().double() * layer.unit
    return torch.equal(found, wanted_sums.half().double())


_LAYERS: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def _layer_of(weight: PackedWeight) -> Layer | None:
    """The layer of *weight*, made when it is first asked for."""
    if weight.stream not in _LAYERS:
        _LAYERS[weight.stream] = (  # a run of inputs with a scale of its own is none of its sums
            Layer.of(weight.steps(), weight.bits) if weight.groups == 1 else None)
    found: Layer | None = _LAYERS[weight.stream]
    return found


def _within(steps: Tensor, low: int, high: int) -> bool:
    return low <= int(steps.min()) and int(steps.max()) <= high


def _capable(device: torch.device) -> bool:
    nvidia = device.type == "cuda" and torch.version.hip is None
    return nvidia and torch.cuda.get_device_capability(device) >= _OLDEST
