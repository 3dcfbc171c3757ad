"""A digest of a model's stored tensors, and what they weigh."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mpsearch.core.types import LayerSpec, unique_weights


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over the name, shape, type and bytes of everything in the state dict."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(_bytes(tensor))
    return f"sha256:{digest.hexdigest()}"


def other_bytes(model: nn.Module, layers: Iterable[LayerSpec]) -> int:
    """Bytes of the state dict, shared tensors once, beyond the quantisable weights."""
    unique = {(t.data_ptr(), t.shape): t for t in model.state_dict().values()}
    whole: int = sum(t.numel() * t.element_size() for t in unique.values())
    weights = sum(layer.weights * layer.float_bits // 8 for layer in unique_weights(layers))
    return max(whole - weights, 0)


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
