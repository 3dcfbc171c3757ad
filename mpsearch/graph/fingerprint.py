"""A digest of a model's stored tensors, and what they weigh."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mpsearch.core.types import LayerSpec


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over the name, shape, type and bytes of everything in the state dict."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(_bytes(tensor))
    return f"sha256:{digest.hexdigest()}"


def unique_state(module: nn.Module) -> dict[str, tuple[Tensor, tuple[str, ...]]]:
    """What *module* stores, each tensor once under its first name, and all names it has."""
    names: dict[tuple[object, ...], list[str]] = {}
    state = module.state_dict()
    for name, tensor in state.items():
        place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        names.setdefault(place, []).append(name)
    return {first: (state[first], (first, *more)) for first, *more in names.values()}


def other_bytes(module: nn.Module, layers: Iterable[LayerSpec]) -> int:
    """Bytes of the state dict, shared tensors once, beyond the quantisable weights."""
    weights = {layer.weight for layer in layers}
    return sum(tensor.nbytes for tensor, names in unique_state(module).values()
               if weights.isdisjoint(names))


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
