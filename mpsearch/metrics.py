"""Per-sample measures of a model's output: divergence, agreement, correctness, sampled loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from mpsearch.core.errors import BadInput

_IMAGE_LIKE = 4
_FEWEST = 2  # dimensions: samples and classes; and classes


def class_dim(output: Tensor) -> int:
    """The dimension of *output* with classes: 1 for dense maps [N, C, H, W], else the last.

    Raises:
        BadInput: the output has no such dimension, or a single class, which is always certain.
    """
    dim = 1 if output.dim() == _IMAGE_LIKE else -1
    if output.dim() < _FEWEST or output.shape[dim] < _FEWEST:
        what = "no class scores" if output.dim() < _FEWEST else "a single class"
        raise BadInput(f"the model's output of shape {tuple(output.shape)} has {what}: wrap the "
                       "model to return a score for each of two or more classes")
    return dim


def kl(reference: Tensor, output: Tensor) -> Tensor:
    """KL(softmax(reference) || softmax(output)) in nats, averaged over positions: shape [samples].

    Computed in float64, so that the divergence of nearly equal outputs keeps its digits.
    """
    dim = class_dim(reference)
    p, q = reference.double().log_softmax(dim), output.double().log_softmax(dim)
    return _by_sample((p.exp() * (p - q)).sum(dim)).clamp(min=0)


def agreement(reference: Tensor, output: Tensor) -> Tensor:
    """Share of positions where both predict the same class: shape [samples]."""
    dim = class_dim(reference)
    return _by_sample((reference.argmax(dim) == output.argmax(dim)).double())


def correct(output: Tensor, labels: Tensor) -> Tensor:
    """Share of positions where the top prediction is the label: shape [samples].

    Raises:
        BadInput: there is not one label for each prediction.
    """
    predicted = output.argmax(class_dim(output))
    if labels.shape != predicted.shape:
        raise BadInput(f"labels of shape {tuple(labels.shape)} do not fit predictions of shape "
                       f"{tuple(predicted.shape)}: give one label for each prediction")
    return _by_sample((predicted == labels.to(output.device)).double())


def sampled_loss(output: Tensor, generator: torch.Generator) -> Tensor:
    """Summed negative log-likelihood of labels drawn from the output's own softmax.

    Drawing the labels from the model makes the expected outer product of the gradients the Fisher
    information, without any true label (Kunstner et al., 2019). With several positions a sample
    the sum is over the root of their number, so that the Fisher information is that of `kl`, the
    mean over positions.
    """
    dim = class_dim(output)
    log_p = output.float().log_softmax(dim).movedim(dim, -1)
    flat = log_p.reshape(-1, log_p.shape[-1])
    drawn = torch.multinomial(flat.detach().exp().cpu(), 1, generator=generator)
    loss = F.nll_loss(flat, drawn.squeeze(1).to(flat.device), reduction="sum")
    return loss / math.sqrt(len(flat) / len(output))


def _by_sample(values: Tensor) -> Tensor:
    return values.reshape(values.shape[0], -1).mean(1)
