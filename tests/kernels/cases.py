"""Weights and activations with everything a format can have, and their int64 products."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mpsearch.kernels import Activation, PackedWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A packed weight and its steps (int64), an activation and its steps (int64)."""

    weight: PackedWeight
    weight_steps: torch.Tensor
    a: Activation
    steps: torch.Tensor
    bias: torch.Tensor


def case(bits, shape, *, group=None, seed=0, extreme=False, rows_differ=True):
    """*shape* is M, N, K. *extreme* codes are all at their limits, and zero points too."""
    m, n, k = shape
    draw = torch.Generator().manual_seed(seed)
    first = -(1 << (bits - 1)) if seed % 2 else 0
    last = first + (1 << bits) - 1
    runs = -(-k // group) if group else 1

    def integers(low, high, size):
        if not extreme:
            return torch.randint(low, high + 1, size, generator=draw, dtype=torch.int32)
        return torch.where(torch.rand(size, generator=draw) < 0.5, low, high).to(torch.int32)

    codes, zero = integers(first, last, (n, k)), integers(first, last, (n, runs))
    x, of_x = integers(-128, 127, (m, k)), integers(-128, 127, (m if rows_differ else 1,))
    scale = torch.rand(n, runs, generator=draw) + 0.5
    spread = zero.repeat_interleave(group or k, 1)[:, :k]
    return Case(
        weight=PackedWeight.of(codes, scale.flatten(), zero.flatten(), bits=bits, first=first,
                               group=group),
        weight_steps=(codes - spread).long(),
        a=Activation(x.to(torch.int8), torch.rand(len(of_x), generator=draw) + 0.5, of_x),
        steps=(x - of_x[:, None]).long(), bias=torch.randn(n, generator=draw))


def near(made, wanted):
    """Equal but for the rounding of float32, relative to the largest number."""
    largest = float(wanted.abs().max()) if wanted.numel() else 0.0
    torch.testing.assert_close(made.double(), wanted.double(), rtol=0,
                               atol=1e-5 * max(1.0, largest))
