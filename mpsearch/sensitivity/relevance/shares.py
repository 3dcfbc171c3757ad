"""How relevance is shared among what an operation reads, by the gradient of its linear part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mpsearch.sensitivity.relevance.step import Step

Given = Mapping[int, Tensor]
"""Relevance of an operation's outputs, by their number."""
Passed = dict[int, Tensor]
"""Relevance of what an operation reads, by place."""


def finite(values: Tensor) -> Tensor:
    """*values* with zeros where they are not finite."""
    return values.nan_to_num(nan=0, posinf=0, neginf=0)


def divide(relevance: Tensor, z: Tensor, epsilon: float = 0) -> Tensor:
    """*relevance* for each unit of *z*; nothing where *z* is zero or not finite.

    The denominator is kept from zero by *epsilon* times the root mean square of *z*.
    """
    floor = epsilon * finite(z).square().mean().sqrt() if epsilon else 0
    return finite(relevance / (z + z.sign() * floor)).masked_fill(z == 0, 0)


def z_rule(step: Step, wanted: Sequence[int], given: Given, *, epsilon: float = 0,
           fixed: Mapping[int, Tensor] | None = None) -> Passed:
    """Each input gets relevance as it contributes to the output: x * vjp(R / z).

    It conserves relevance where the operation is linear in all *wanted* places together. The
    epsilon rule is the same with a larger *epsilon* (Bach et al., 2015).
    """
    leaves = [step.values[place] for place in wanted]
    slopes = vjp(lambda *xs: step.run({**(fixed or {}), **dict(zip(wanted, xs, strict=True))}),
                 leaves, given, lambda r, z: divide(r, z, epsilon))
    return {place: finite(x * slope) for place, x, slope in zip(wanted, leaves, slopes, strict=True)
            if slope is not None}


def copied(step: Step, given: Given) -> Passed:
    """Where each output is a copy of one input, relevance goes back to where it was copied from.

    That is what the z-rule does as well, but for inputs that are zero or infinite.
    """
    places = step.active
    slopes = vjp(lambda *xs: step.run(dict(zip(places, xs, strict=True))),
                 [step.values[place] for place in places], given, lambda r, _: r)
    return {place: slope for place, slope in zip(places, slopes, strict=True) if slope is not None}


def vjp(function: Callable[..., Tensor | Sequence[Tensor]], inputs: Sequence[Tensor],
        given: Given, seed: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor | None]:
    """Gradient of *function*'s outputs, weighted with *seed*(relevance, output), by its *inputs*.

    None for an input that none of the outputs with relevance has a gradient for.
    """
    leaves = [x.detach().requires_grad_() for x in inputs]
    with torch.enable_grad():
        made = function(*leaves)
        outputs = [made] if isinstance(made, Tensor) else list(made)
        pairs = [(outputs[n], r) for n, r in given.items() if outputs[n].requires_grad]
    if not pairs:
        return [None] * len(leaves)
    seeds = [seed(r.reshape(z.shape), z.detach()).to(z.dtype) for z, r in pairs]
    return list(torch.autograd.grad([z for z, _ in pairs], leaves, seeds, allow_unused=True))


def balanced(terms: Sequence[Tensor], relevance: Tensor, dim: int) -> list[Tensor]:
    """Shares of *terms* in the *relevance* of their sum (Chefer et al., 2021).

    Each gets x * R / z; then all are rescaled so that the sums of the shares are in the
    proportion of their magnitudes and add up to that of R. Sums are over all dimensions but
    *dim*, that of the samples: a dimension into which more is folded than the samples, such as
    windows, is balanced in each of its parts, which conserves relevance in each sample too.
    """
    terms = [term.expand_as(relevance) for term in terms]
    slope = divide(relevance, torch.stack(terms).sum(0))
    shares = [finite(term * slope) for term in terms]
    others = [place for place in range(relevance.dim()) if place != dim]

    def total(values: Tensor) -> Tensor:
        return values.sum(others, keepdim=True) if others else values

    sums = [total(share) for share in shares]
    magnitude = torch.stack([part.abs() for part in sums]).sum(0)
    factor = divide(total(relevance), magnitude)
    return [finite(share * part.sign() * factor) for share, part in zip(shares, sums, strict=True)]


def reduced(relevance: Tensor, shape: tuple[int, ...]) -> Tensor:
    """*relevance* of a broadcast tensor, summed to that of the tensor of *shape*."""
    return relevance if relevance.shape == shape else relevance.sum_to_size(shape)
