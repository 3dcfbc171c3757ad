"""Hessian-vector products: a backward pass through a backward pass."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

COPIES = 6
"""Tensors of a forward pass's size that a twice differentiated one keeps."""


def gradient(value: Tensor, leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Derivatives of *value* that can be differentiated again, 0 where it does not depend."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    return torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True,
                               materialize_grads=True)


def product(slopes: Sequence[Tensor], leaves: Sequence[Tensor],
            vectors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Hessian times *vectors*, from the gradients *slopes* at *leaves*."""
    known = [(slope, vector) for slope, vector in zip(slopes, vectors, strict=True)
             if slope.requires_grad]
    if not known:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    return torch.autograd.grad([slope for slope, _ in known], leaves,
                               [vector for _, vector in known], retain_graph=True,
                               allow_unused=True, materialize_grads=True)


def random_signs(label: str, like: Tensor) -> Tensor:
    """Plus and minus ones that depend on *label* alone, in the form of *like*."""
    seed = int.from_bytes(hashlib.sha256(label.encode()).digest()[:7], "big")
    bits = torch.randint(2, like.shape, dtype=torch.int8,
                         generator=torch.Generator().manual_seed(seed))
    return (2 * bits - 1).to(like)


def inner(one: Tensor, other: Tensor) -> float:
    """Inner product, in double precision."""
    return float((one.double() * other.double()).sum())
