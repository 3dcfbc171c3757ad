"""Per-sample measures of a model's output: divergence, agreement, correctness, sampled loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from mpsearch.core.errors import BadInput

_IMAGE_LIKE = 4
_WINDOW = 7
_TINY = 1e-30
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


def sampled_gradient(output: Tensor, uniforms: Tensor) -> Tensor:
    """Gradient of ``-log p(y)`` at *output*, with y drawn from the output's own softmax.

    *uniforms*, shape [samples, positions], are drawn from [0, 1) and pick the labels. Drawing them
    from the model makes the expected outer product of the gradients the Fisher information,
    without any true label (Kunstner et al., 2019). With several positions a sample the gradient
    is over the root of their number, so that the Fisher information is that of `kl`, the mean
    over positions.
    """
    dim = class_dim(output)
    p = output.double().softmax(dim).movedim(dim, -1)
    flat = p.reshape(-1, p.shape[-1])
    drawn = torch.searchsorted(flat.cumsum(1), uniforms.to(flat.device).reshape(-1, 1).contiguous(),
                               right=True)
    at = drawn.clamp(max=flat.shape[1] - 1)
    gradient = flat.scatter_add(1, at, torch.full_like(at, -1, dtype=flat.dtype))
    gradient /= math.sqrt(len(flat) / len(output))
    return gradient.reshape(p.shape).movedim(-1, dim).to(output.dtype)


def positions(output: Tensor) -> int:
    """Number of predictions a sample."""
    return math.prod(output.shape[1:]) // output.shape[class_dim(output)]


def disagreement(reference: Tensor, output: Tensor) -> Tensor:
    """Share of positions where the top class changes: shape [samples]."""
    return 1 - agreement(reference, output)


def cosine(reference: Tensor, output: Tensor) -> Tensor:
    """One minus the cosine of the angle between the outputs of a sample: shape [samples]."""
    a, b = reference.double().flatten(1), output.double().flatten(1)
    lengths = (a.square().sum(1) * b.square().sum(1)).sqrt()
    apart: Tensor = (lengths - (a * b).sum(1)).clamp(min=0) / lengths.clamp(min=_TINY)
    return torch.where(lengths > 0, apart, (a != b).any(1).double())


def noise(reference: Tensor, output: Tensor) -> Tensor:
    """Squared change over squared output, the inverse of the SQNR: shape [samples]."""
    a, b = reference.double().flatten(1), output.double().flatten(1)
    return (a - b).square().sum(1) / a.square().sum(1).clamp(min=_TINY)


def dissimilarity(reference: Tensor, output: Tensor) -> Tensor:
    """One minus the mean structural similarity of images [N, C, H, W]: shape [samples].

    Wang et al. (2004) with a uniform window of 7 (or the image's smaller side), sample covariance
    and the range of the reference image, as scikit-image computes it.

    Raises:
        BadInput: the output is no image.
    """
    if reference.dim() != _IMAGE_LIKE:
        raise BadInput(f"ssim compares images [N, C, H, W] and the model's output has shape "
                       f"{tuple(reference.shape)}: choose another metric")
    a, b = reference.double(), output.double()
    size = min(_WINDOW, *a.shape[-2:])
    unbiased = size**2 / max(size**2 - 1, 1)
    mean_a, mean_b = (F.avg_pool2d(each, size, 1) for each in (a, b))
    var_a, var_b, both = (
        unbiased * (F.avg_pool2d(x * y, size, 1) - m * n)
        for x, y, m, n in ((a, a, mean_a, mean_a), (b, b, mean_b, mean_b), (a, b, mean_a, mean_b)))
    span = (a.flatten(1).amax(1) - a.flatten(1).amin(1)).clamp(min=_TINY).view(-1, 1, 1, 1)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    similar = ((2 * mean_a * mean_b + c1) * (2 * both + c2)
               / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))
    equal = (a == b).flatten(1).all(1)  # rounding must not make equal images differ
    found: Tensor = 1 - similar.flatten(1).mean(1)
    return found.masked_fill(equal, 0)


def _by_sample(values: Tensor) -> Tensor:
    return values.reshape(values.shape[0], -1).mean(1)
