"""Scales as they are stored, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.quantizers.halves import from_halves, to_halves
from mpsearch.quantizers.scales import floor_log2, power_of_two

_LAST_BINADE = 15  # fp16's, from 2**15 to 65504: scales were rounded, so that none goes beyond
_BIAS = 127
"""A stored power of two is its exponent with this added (E8M0)."""
_NAMES: dict[str, tuple[str, ...]] = {
    "half": ("weight_scale", "weight_scale_exponent"), "exponent": ("weight_scale",),
    "e4m3": ("weight_scale", "weight_global_scale")}


def names_of(fmt: Format) -> tuple[str, ...]:
    """The tensors that `stored_scales` makes."""
    return _NAMES[fmt.scale_storage]


def stored_scales(scale: Tensor, fmt: Format, shared: Tensor | None = None) -> dict[str, Tensor]:
    """float32 scales as tensors of the types in which *fmt* stores them.

    *shared* is the scale of the whole tensor that each E4M3 scale is multiplied with.

    Raises:
        BadInput: the scales were not rounded for storage.
    """
    flat = scale.flatten()
    if fmt.scale_storage == "half":
        half, exponent = to_halves(flat, top=_LAST_BINADE)
        _require_same(from_halves(half, exponent), flat)
        return {"weight_scale": half, "weight_scale_exponent": exponent}
    if fmt.scale_storage == "exponent":
        exponent = floor_log2(flat)
        _require_same(power_of_two(exponent), flat)
        return {"weight_scale": (exponent + _BIAS).to(torch.uint8)}
    assert shared is not None  # noqa: S101 - the quantizer that uses this storage sets it
    small = (flat.double() / shared.double()).float().to(torch.float8_e4m3fn)
    _require_same((small.float() * shared).double(), flat)
    return {"weight_scale": small.view(torch.uint8), "weight_global_scale": shared.view(1)}


def read_scales(tensors: Mapping[str, Tensor], fmt: Format, count: int) -> Tensor:
    """The scales that `stored_scales` stored, float32 [S, 1]."""
    stored = tensors["weight_scale"].view(-1, 1)
    if len(stored) != count:
        raise BadInput(f"{len(stored)} stored scales for a weight that has {count} in {fmt}")
    if fmt.scale_storage == "half":
        return from_halves(stored, tensors["weight_scale_exponent"])
    if fmt.scale_storage == "exponent":
        return power_of_two(stored.long() - _BIAS).float()
    return stored.view(torch.float8_e4m3fn).float() * tensors["weight_global_scale"]


def _require_same(stored: Tensor, scale: Tensor) -> None:
    if not bool((stored.double() == scale.double()).all()):
        raise BadInput("these scales were not rounded for storage: fit the parameters in the "
                       "format that is stored")
