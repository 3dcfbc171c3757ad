"""A quantized weight as the tensors that are stored, to the bit as `stored_bits` counts them."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.core.errors import BadInput
from mpsearch.core.formats import Format
from mpsearch.quantizers.base import Params
from mpsearch.quantizers.bitstream import pack, unpack
from mpsearch.quantizers.code_shape import code_shape
from mpsearch.quantizers.stored_scales import names_of, read_scales, stored_scales

_SHARED = "global_scale"


def packed_tensors(codes: Tensor, params: Params, fmt: Format,
                   shape: tuple[int, ...] | None = None) -> dict[str, Tensor]:
    """*codes* (output channels first) and *params* as stored tensors.

    ``weight_packed`` uint8 [rows, bytes] (see `pack`); ``weight_scale`` float16 [S] and
    ``weight_scale_exponent`` int8 [1] (a scale is their product, fp16 * 2**exponent), or as the
    format stores its scales; with zero points ``weight_zero_point`` [S], uint8 up to 8 bits and
    else uint16; and ``weight_NAME`` for every table of the format. *shape* is that of the weight,
    where it is not that of the codes.

    Raises:
        BadInput: the format is computed at run time; the number of scales is not that of the
            shape; or a scale or code is not one that the format can store.
    """
    shape = tuple(codes.shape) if shape is None else shape
    if fmt.dynamic or params.scale.numel() != fmt.slices(shape):
        raise BadInput(f"cannot store {params.scale.numel()} scales for a weight of shape "
                       f"{shape} in {fmt}: fit its parameters in a format with "
                       "granularity tensor, channel or group:N")
    tables = {name: table for name, table in params.more.items() if name != _SHARED}
    tensors = {"weight_packed": pack(codes, fmt),
               **stored_scales(params.scale, fmt, params.more.get(_SHARED)),
               **{f"weight_{name}": table.contiguous() for name, table in tables.items()}}
    if fmt.zero_point_bits:
        tensors["weight_zero_point"] = params.zero_point.flatten().to(_zero_dtype(fmt))
    return tensors


def unpacked(
    tensors: dict[str, Tensor], fmt: Format, shape: tuple[int, ...]
) -> tuple[Tensor, Params]:
    """The codes and parameters of a weight of this *shape* that `packed_tensors` stored.

    Raises:
        BadInput: a tensor is missing, or not of the size that *shape* has in *fmt*.
    """
    tables = tuple(fmt.tables(shape))
    names = ["weight_packed", *names_of(fmt), *(["weight_zero_point"] * bool(fmt.zero_point_bits)),
             *(f"weight_{name}" for name in tables)]
    missing = [name for name in names if name not in tensors]
    if missing:
        raise BadInput(f"a weight stored in {fmt} lacks {' and '.join(missing)}")
    scale = read_scales(tensors, fmt, fmt.slices(shape))
    zero = (tensors["weight_zero_point"].view(-1, 1) if fmt.zero_point_bits
            else torch.zeros_like(scale))
    more = {name: tensors[f"weight_{name}"] for name in tables}
    if "weight_global_scale" in names:
        more[_SHARED] = tensors["weight_global_scale"]
    codes = unpack(tensors["weight_packed"], fmt, code_shape(fmt, shape))
    return codes, Params(scale=scale, zero_point=zero.to(torch.int32), more=more)


def _zero_dtype(fmt: Format) -> torch.dtype:
    return torch.uint8 if fmt.zero_point_bits == torch.uint8.itemsize * 8 else torch.uint16
