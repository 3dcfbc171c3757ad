"""Weights of token groups: how much the loss reacts to tokens of each group."""

from __future__ import annotations

import torch
from torch import Tensor

from mpsearch.graph.samples import SampleAxis


def token_weights(tokens: Tensor | None, g: Tensor, axis: SampleAxis | None,
                  samples: int) -> Tensor | None:
    """A weight for every element of an output with gradient *g*, by the group of its token.

    *tokens*, shape [samples, tokens], has the group of every token. The weight of a group is the
    mean of ``|g|`` over its tokens, a sample, over the mean of all tokens (Li et al., 2024, MBQ,
    where the groups are the modalities). None where there are no groups, or where no dimension of
    the output counts the tokens.
    """
    if tokens is None or axis is None or axis.dim != 0 or g.shape[0] != samples:
        return None
    length = tokens.shape[1]
    dims = [dim for dim in range(1, g.dim()) if g.shape[dim] == length]
    if not dims:
        return None
    size = g.abs().movedim(dims[0], 1).reshape(samples, length, -1).mean(2)
    groups = tokens.to(g.device)
    if len(groups) < samples:  # a graph of fixed batch size runs the last sample again
        groups = torch.cat([groups, groups[-1:].expand(samples - len(groups), -1)])
    weights = torch.ones_like(size)
    overall = size.mean(1, keepdim=True)
    for group in torch.unique(groups):
        inside = groups == group
        mean = (size * inside).sum(1, keepdim=True) / inside.sum(1, keepdim=True).clamp(min=1)
        weights = torch.where(inside & (overall > 0), mean / overall.clamp(min=1e-30), weights)
    shape = [1] * g.dim()
    shape[0], shape[dims[0]] = samples, length
    return weights.reshape(shape)
