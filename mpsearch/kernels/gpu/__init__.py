"""The kernels on GPUs, in Triton: the functions of `mpsearch.kernels.reference`, the same bits.

Nothing here imports Triton before something is computed on a GPU. On a CPU Triton's interpreter
runs the same kernels (TRITON_INTERPRET=1), which is how tests hold them to the reference.
"""

from __future__ import annotations

import importlib.util
from functools import cache

import torch

_OLDEST = 8, 0  # Triton does not compile products of bytes for what came before


@cache
def runs_on(device: torch.device) -> bool:
    """Whether Triton is installed, as it is with torch for GPUs, and compiles for *device*."""
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    amd = torch.version.hip is not None
    return amd or torch.cuda.get_device_capability(device) >= _OLDEST
