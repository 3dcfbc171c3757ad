"""Per-sample measures of a model's output: divergence, agreement, correctness, sampled loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from mpsearch.core.errors import BadInput

_IMAGE_LIKE = 4


def class_dim(output: Tensor) -> int:
    """The dimension of *output* with classes: 1 for dense maps [N, C, H, W], else the last.

    Raises:
        BadInput: the output has no dimension beside the samples.
    """
    if output.dim() < 2:  # noqa: PLR2004 - samples and classes
        raise BadInput(f"the model's output of shape {tuple(output.shape)} has no class scores: "
                       "wrap it to return one score a class for each sample")
    return 1 if output.dim() == _IMAGE_LIKE else -1


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
    """Share of positions where the top prediction is the label: shape [samples]."""
    return _by_sample((output.argmax(class_dim(output)) == labels.to(output.device)).double())


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
