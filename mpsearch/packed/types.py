"""Types of numbers as torch and as safetensors name them, and tensors as bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.core.errors import Unsupported
from mpsearch.packed.container import Entry

TORCH: dict[str, torch.dtype] = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn, "I16": torch.int16, "U16": torch.uint16,
    "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32, "U32": torch.uint32,
    "F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U64": torch.uint64,
    "C64": torch.complex64}
NAMES = {dtype: name for name, dtype in TORCH.items()}


def name_of(tensor: Tensor, name: str) -> str:
    """What safetensors calls the type of *tensor*, which has this *name* in the model.

    Raises:
        Unsupported: it has no name for it.
    """
    if tensor.dtype not in NAMES:
        raise Unsupported(f"'{name}' is of the type {tensor.dtype}, which a safetensors file "
                          "cannot hold: convert it in the model")
    return NAMES[tensor.dtype]


def bytes_of(tensor: Tensor) -> memoryview:
    """The numbers of *tensor* in row-major order."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def tensor_of(data: bytearray, entry: Entry) -> Tensor:
    """The tensor at *entry*, which shares its memory with *data*."""
    dtype, count = TORCH[entry.dtype], entry.stop - entry.start
    if not count:
        return torch.zeros(entry.shape, dtype=dtype)
    flat = torch.frombuffer(data, dtype=torch.uint8, count=count, offset=entry.start)
    even = flat if entry.start % dtype.itemsize == 0 else flat.clone()
    return even.view(dtype).view(entry.shape)
