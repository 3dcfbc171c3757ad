"""A quantized weight as the tensors that are stored, to the bit as `stored_bits` counts them."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.bitstream import pack, unpack
from mpsearch.quantizers.scales import floor_log2, power_of_two

# The largest stored scale lies in fp16's last binade, from 2**15 to 65504, unless the exponent
# would then not fit its 8 bits.
_LAST_BINADE = 15
_SMALLEST_EXPONENT = -128


def packed_tensors(codes: Tensor, params: Params, fmt: Format) -> dict[str, Tensor]:
    """*codes* (output channels first) and *params* as stored tensors.

    ``weight_packed`` uint8 [rows, bytes] (see `pack`), ``weight_scale`` float16 [S] and
    ``weight_scale_exponent`` int8 [1] (a scale is their product, fp16 * 2**exponent), and for an
    asymmetric format ``weight_zero_point`` [S], uint8 up to 8 bits and else uint16.

    Raises:
        BadInput: the format is computed at run time; the number of scales is not that of the
            shape; or a scale or code is not one that the format can store.
    """
    slices = fmt.slices(tuple(codes.shape))
    if fmt.dynamic or params.scale.numel() != slices:
        raise BadInput(f"cannot store {params.scale.numel()} scales for a weight of shape "
                       f"{tuple(codes.shape)} in {fmt}: fit its parameters in a format with "
                       "granularity tensor, channel or group:N")
    scale, exponent = _halves(params.scale.flatten())
    tensors = {"weight_packed": pack(codes, fmt), "weight_scale": scale,
               "weight_scale_exponent": exponent}
    if not fmt.symmetric:
        tensors["weight_zero_point"] = params.zero_point.flatten().to(_zero_dtype(fmt))
    return tensors


def unpacked(
    tensors: dict[str, Tensor], fmt: Format, shape: tuple[int, ...]
) -> tuple[Tensor, Params]:
    """The codes and parameters that `packed_tensors` stored, bit for bit.

    Raises:
        BadInput: a tensor is missing, or not of the size that *shape* has in *fmt*.
    """
    names = ["weight_packed", "weight_scale", "weight_scale_exponent"]
    names += [] if fmt.symmetric else ["weight_zero_point"]
    missing = [name for name in names if name not in tensors]
    if missing:
        raise BadInput(f"a weight stored in {fmt} lacks {' and '.join(missing)}")
    half = tensors["weight_scale"].view(-1, 1)
    if len(half) != fmt.slices(shape):
        raise BadInput(f"{len(half)} stored scales for a weight of shape {shape} in {fmt}, which "
                       f"has {fmt.slices(shape)}")
    scale = (half.double() * power_of_two(tensors["weight_scale_exponent"].long())).float()
    zero = torch.zeros_like(scale) if fmt.symmetric else tensors["weight_zero_point"].view(-1, 1)
    codes = unpack(tensors["weight_packed"], fmt, shape)
    return codes, Params(scale=scale, zero_point=zero.to(torch.int32))


def _halves(scale: Tensor) -> tuple[Tensor, Tensor]:
    """float32 scales as fp16 numbers and their one exponent (int8 [1])."""
    exponent = (floor_log2(scale.max().view(1)) - _LAST_BINADE).clamp(min=_SMALLEST_EXPONENT)
    exact = scale.double() / power_of_two(exponent)
    half = exact.half()
    if not bool((half.double() == exact).all()):
        raise BadInput("these scales were not rounded for storage: fit the parameters in the "
                       "format that is stored")
    return half, exponent.to(torch.int8)


def _zero_dtype(fmt: Format) -> torch.dtype:
    return torch.uint8 if fmt.zero_point_bits == torch.uint8.itemsize * 8 else torch.uint16
