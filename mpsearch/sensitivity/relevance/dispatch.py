"""Which rule each operation gets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mpsearch.sensitivity.relevance.products import (
    ATTENTION,
    FACTORS,
    fused_attention,
    product,
    shared,
)
from mpsearch.sensitivity.relevance.rules import Rules
from mpsearch.sensitivity.relevance.shares import (
    Given,
    Passed,
    balanced,
    copied,
    reduced,
    z_rule,
)
from mpsearch.sensitivity.relevance.step import Step

_SAMPLERS = frozenset({"grid_sampler", "grid_sampler_2d", "grid_sampler_3d"})  # where to look
# All relevance goes to the first activation: what only rescales, bends or normalises it.
_IDENTITY = frozenset({
    "softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax", "layer_norm",
    "native_layer_norm", "batch_norm", "native_batch_norm", "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training", "_native_batch_norm_legit_functional",
    "_batch_norm_no_update", "_batch_norm_with_update", "cudnn_batch_norm", "miopen_batch_norm",
    "instance_norm", "group_norm", "native_group_norm", "rms_norm", "_fused_rms_norm", "dropout",
    "native_dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "hardswish",
    "prelu", "_prelu_kernel", "log_sigmoid", "div", "divide", "true_divide", "alias", "detach",
    "clone", "contiguous", "_to_copy", "to", "type_as", "lift_fresh_copy",
})
# Each output is one of the inputs.
_COPIES = frozenset({
    "getitem", "view", "_unsafe_view", "reshape", "flatten", "unflatten", "permute", "transpose",
    "t", "numpy_T", "mT", "movedim", "moveaxis", "swapaxes", "swapdims", "unsqueeze", "squeeze",
    "slice", "select", "narrow", "split", "split_with_sizes", "chunk", "tensor_split", "unbind",
    "cat", "concat", "stack", "hstack", "vstack", "roll", "flip", "rot90", "expand", "expand_as",
    "repeat", "repeat_interleave", "tile", "broadcast_to", "index", "_unsafe_index",
    "index_select", "gather", "take_along_dim", "pad", "constant_pad_nd", "reflection_pad1d",
    "reflection_pad2d", "replication_pad1d", "replication_pad2d", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "unfold", "im2col", "as_strided", "diagonal", "tril",
    "triu", "where", "masked_fill", "maximum", "minimum", "max_pool1d", "max_pool2d", "max_pool3d",
    "max_pool2d_with_indices", "adaptive_max_pool2d", "amax", "amin", "topk", "sort",
    "upsample_nearest1d", "upsample_nearest2d", "masked_select", "slice_scatter", "select_scatter",
    "copy",
})


def pass_on(step: Step, given: Given, rules: Rules) -> Passed:
    """Relevance of what *step* reads, by place, from that of its outputs.

    What is none of the known operations gets the z-rule by its gradient, which is right where it
    is linear. Where there is no gradient, the first input of the output's shape gets all; where
    there is no such input, relevance ends.
    """
    if not step.active:
        return {}
    if step.name in _COPIES:
        return _attempt(step, given, copied)
    rule = _RULES.get(step.name) or (_to_the_first if _bends_one(step) else None)
    if rule is None or 0 not in given:  # nothing known, or only a further output is used
        return _attempt(step, given, _contributions)
    return rule(step, given[0], rules)


def _addition(step: Step, relevance: Tensor, rules: Rules) -> Passed:
    """Shares of the terms that depend on the model's inputs; a constant gets nothing."""
    if len(step.active) == 1:
        return _to_the_first(step, relevance, rules)
    terms = [step.run(step.without(*(other for other in step.active if other != place)))
             for place in step.active]
    parts = balanced(terms, relevance, step.sample_dim(relevance.shape))
    return {place: reduced(part, step.values[place].shape)
            for place, part in zip(step.active, parts, strict=True)}


def _gate(step: Step, relevance: Tensor, _: Rules) -> Passed:
    return shared(step, step.active, relevance)


def _gate_inside(step: Step, relevance: Tensor, _: Rules) -> Passed:
    """A value times a gate, the halves of one tensor."""
    return {step.active[0]: torch.cat([relevance / 2] * 2, step.named().get("dim", -1))}


def _to_the_first(step: Step, relevance: Tensor, _: Rules) -> Passed:
    place = step.active[0]
    return {place: reduced(relevance, step.values[place].shape)}


def _bends_one(step: Step) -> bool:
    tags = getattr(step.node.target, "tags", ())
    return torch.Tag.pointwise in tags and len(step.active) == 1


def _contributions(step: Step, given: Given) -> Passed:
    sampler = step.name in _SAMPLERS
    return z_rule(step, [place for place in step.active if not sampler or not step.places[place]],
                  given)


def _attempt(step: Step, given: Given, rule: Callable[[Step, Given], Passed]) -> Passed:
    try:
        found = rule(step, given)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001 - an operation without a gradient may refuse in any way
        found = {}
    if found or 0 not in given:
        return found
    alike = [place for place in step.active if step.values[place].shape == given[0].shape]
    return dict.fromkeys(alike[:1], given[0])


_RULES: dict[str, Callable[[Step, Tensor, Rules], Passed]] = {
    **dict.fromkeys(FACTORS, product),
    **dict.fromkeys(ATTENTION, fused_attention),
    **dict.fromkeys(_IDENTITY, _to_the_first),
    **dict.fromkeys(("mul", "multiply"), _gate),
    **dict.fromkeys(("add", "sub", "rsub", "subtract"), _addition),
    "glu": _gate_inside,
}
