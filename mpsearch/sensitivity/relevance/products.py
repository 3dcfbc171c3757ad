"""Relevance through products: with a weight, of activations, and inside fused attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mpsearch.graph.operations import attention
from mpsearch.sensitivity.relevance.rules import CONVOLUTIONS, Rules, Weighted
from mpsearch.sensitivity.relevance.shares import Passed, balanced, divide, finite, reduced, z_rule
from mpsearch.sensitivity.relevance.step import Step

# The arguments that are multiplied; what else an operation adds is a bias.
FACTORS: dict[str, tuple[int | str, ...]] = {
    **dict.fromkeys(("linear", "matmul", "mm", "bmm", "mv", "dot", "inner", *CONVOLUTIONS,
                     "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), (0, 1)),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv", "addr"), (1, 2)),
    "einsum": (1,),
    "bilinear": (0, 1, 2),
}
ATTENTION = (
    "scaled_dot_product_attention", "_scaled_dot_product_attention_math",
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
)


def product(step: Step, relevance: Tensor, rules: Rules) -> Passed:
    """A product of activations gives each the same part, by the z-rule; a bias gets nothing.

    With a single activation the factors are weights, see `weighted`. What is added and depends
    on the model's inputs gets its share first, as in an addition.
    """
    factors = tuple(place for place in step.floats if step.places[place] in FACTORS[step.name])
    others = tuple(place for place in step.floats if place not in factors)
    active = [place for place in factors if place in step.active]
    if not active:
        return z_rule(step, step.active, {0: relevance})
    added = [place for place in others if place in step.active]
    passed: Passed = {}
    if added:
        terms = [step.run(step.without(*others)), step.run(step.without(*factors))]
        relevance, rest = balanced(terms, relevance, step.sample_dim(relevance.shape))
        passed = z_rule(step, added, {0: rest}, fixed=step.without(*factors))
    if len(active) > 1:
        return passed | shared(step, active, relevance, others)
    weights = tuple(place for place in factors if place not in active)
    if added:  # their share is out, so they must not count again
        step = step.altered(step.without(*added))
    layer = Weighted(step=step, place=active[0], weights=weights, biases=others)
    return passed | layer.input_relevance(relevance, rules)


def shared(step: Step, active: Sequence[int], relevance: Tensor,
           biases: Sequence[int] = ()) -> Passed:
    """The z-rule for all *active* factors of a product, each with the same part of the whole."""
    found = z_rule(step, active, {0: relevance}, fixed=step.without(*biases))
    return {place: values / len(active) for place, values in found.items()}


def fused_attention(step: Step, relevance: Tensor, _: Rules) -> Passed:
    """Probabilities times values, identity through softmax and mask, queries times keys.

    The rules are those of the same operations in the open. A mask gets nothing.
    """
    named = step.named()
    query, key, value = (named[name] for name in ("query", "key", "value"))
    chances, z = _probabilities(named)
    repeats = query.shape[-3] // key.shape[-3] if named.get("enable_gqa") else 1
    keys, values = (t.repeat_interleave(repeats, -3) if repeats > 1 else t for t in (key, value))
    keys = keys.transpose(-2, -1)
    on_query, on_key, on_value = (place in {step.places[n] for n in step.active}
                                  for place in range(3))
    on_chances, to_value = _two_factors((chances, values), z, relevance,
                                        (on_query or on_key, on_value))
    to_query, to_key = _two_factors((query, keys), query @ keys, on_chances, (on_query, on_key))
    found: dict[int | str, Tensor] = {0: to_query, 2: _folded(to_value, repeats),
                                      1: _folded(to_key.transpose(-2, -1), repeats)}
    return {n: reduced(found[step.places[n]], step.values[n].shape)
            for n in step.active if step.places[n] in found}


def _probabilities(named: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """What the values of an attention are weighted with, and its output."""
    mask = named["attn_mask"] if "attn_mask" in named else named.get("attn_bias")
    options: dict[str, Any] = {name: named[name] for name in ("is_causal", "scale", "enable_gqa")
                               if name in named}
    seen: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        seen.append(tensor)
        return tensor

    z = attention((named["query"], named["key"], named["value"]), {**options, "attn_mask": mask},
                  query_key={}, probability_value={"input": keep})
    return seen[0], z


def _two_factors(factors: tuple[Tensor, Tensor], z: Tensor, relevance: Tensor,
                 active: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    """The z-rule for two factors of a product of matrices, each with half if both are active."""
    left, right = factors
    slope = divide(relevance, z) / max(sum(active), 1)
    return (finite(left * (slope @ right.transpose(-2, -1))),
            finite(right * (left.transpose(-2, -1) @ slope)))


def _folded(relevance: Tensor, repeats: int) -> Tensor:
    """Relevance of heads that several queries shared."""
    if repeats == 1:
        return relevance
    return relevance.reshape(*relevance.shape[:-3], -1, repeats, *relevance.shape[-2:]).sum(-3)
