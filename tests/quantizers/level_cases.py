"""Activations as they come out of a softmax and a GELU, and errors of formats on them."""

import torch

from mpsearch import plugins
from mpsearch.core.formats import IntFormat
from mpsearch.quantizers.base import fake_quantize


def normal(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def attention(seed=0):
    """Rows of attention, some flat and some with nearly all weight on one token."""
    logits = normal((3, 64, 64), seed) * torch.tensor([1.0, 3.0, 6.0])[:, None, None]
    return logits.softmax(-1)


def after_gelu(seed=0):
    return torch.nn.functional.gelu(2 * normal((64, 192), seed))


def rounded(x, fmt):
    """*x* after a round trip, and the parameters that were found."""
    quantizer = plugins.load("quantizer", fmt.kind)()
    (params,) = quantizer.fit(x, [fmt])
    return fake_quantize(quantizer, x, params, fmt), params


def loss(x, fmt):
    """Squared error over squared numbers."""
    y, _ = rounded(x, fmt)
    return float((y - x).double().square().sum() / x.double().square().sum())


def uniform(bits):
    return IntFormat(bits=bits, symmetric=False, granularity="tensor")
