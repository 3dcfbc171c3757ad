"""Weight errors under second moments: the Kronecker-factored trace, and GPTQ's residual."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mpsearch.core.errors import Unsupported
from mpsearch.core.formats import Format
from mpsearch.core.types import Group, LayerSpec
from mpsearch.quantizers.base import Params, fake_quantize
from mpsearch.quantizers.of_kind import quantizer_of
from mpsearch.sensitivity.moments import Moments
from mpsearch.sensitivity.study import Study

_BLOCK = 128


def kronecker(study: Study, layer: LayerSpec, moments: Moments, group: Group) -> list[float]:
    """``½ T tr(ΔW A ΔWᵀ G)`` for the weight error of every scheme of *group*."""
    weights = study.fake.weights
    rows = weights.rows(layer.name).double().flatten(1)
    if moments.gradients is None:  # the output does not depend on it
        return [0.0] * len(group.schemes)
    return [0.0 if scheme.weight is None else max(0.0, _trace(
        weights.fake(layer.name, scheme.weight).double().flatten(1) - rows, moments))
        * moments.positions / 2 for scheme in group.schemes]


def _trace(error: Tensor, moments: Moments) -> float:
    a, g = moments.inputs, moments.gradients
    assert g is not None  # noqa: S101 - checked by the caller
    if a is None:
        assert moments.reads is not None  # noqa: S101 - it ran, so it has read something
        return float(moments.reads @ (_times(g, error.T) * error.T).sum(0))
    parts = error.reshape(len(a), -1, error.shape[1])  # output channels of each conv group
    size = parts.shape[1]
    return sum(float(((part @ a[i]) * _times(_block(g, i, size), part)).sum())
               for i, part in enumerate(parts))


def _times(g: Tensor, error: Tensor) -> Tensor:
    return g @ error if g.dim() > 1 else g.unsqueeze(1) * error


def residuals(study: Study, layer: LayerSpec, moments: Moments, group: Group,
              damp: float) -> list[float]:
    """GPTQ's summed residual for every scheme of *group*."""
    formats = list(dict.fromkeys(scheme.weight for scheme in group.schemes if scheme.weight))
    if not formats:
        return [0.0] * len(group.schemes)
    if moments.inputs is None:  # rows that are read one at a time have nothing to make up for
        return [_unrelated(study, layer, moments, scheme.weight) for scheme in group.schemes]
    factor = torch.stack([_inverse_factor(each, damp) for each in moments.inputs])
    rows = study.fake.weights.rows(layer.name).float().flatten(1)
    dead = moments.inputs.diagonal(dim1=1, dim2=2).unsqueeze(1) == 0
    # What an input that is always zero meets has no error to make up for.
    rows = rows.reshape(len(dead), -1, rows.shape[1]).masked_fill(dead, 0).reshape(rows.shape)
    whole = next((fmt for fmt in formats if not fmt.columnwise), None)
    if whole is not None:
        raise Unsupported(f"layer '{layer.name}': {whole} rounds several weights at once, which "
                          "gptq_loss cannot do one column at a time: use another estimator, such "
                          "as kl_probe, or drop the format")
    params = [study.fake.weights.encode(layer.name, fmt)[1] for fmt in formats]
    found = dict(zip(formats, _residual(rows, factor, formats, params), strict=True))
    return [found[scheme.weight] * moments.positions if scheme.weight else 0.0
            for scheme in group.schemes]


def _unrelated(study: Study, layer: LayerSpec, moments: Moments, fmt: Format | None) -> float:
    if fmt is None or moments.reads is None:
        return 0.0
    weights = study.fake.weights
    error = (weights.fake(layer.name, fmt).double() - weights.rows(layer.name).double())
    return float(moments.reads @ error.flatten(1).square().sum(1)) * moments.positions


def _block(g: Tensor, i: int, size: int) -> Tensor:
    own = slice(i * size, (i + 1) * size)
    return g[own, own] if g.dim() > 1 else g[own]


def _inverse_factor(moment: Tensor, damp: float) -> Tensor:
    """The upper Cholesky factor of the inverse; an input that is always zero counts as one."""
    damped = moment.clone()
    diagonal = damped.diagonal()
    diagonal[diagonal == 0] = 1
    diagonal += damp * diagonal.mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor.float()


def _residual(rows: Tensor, factor: Tensor, formats: Sequence[Format],
              params: Sequence[Params]) -> list[float]:
    """The summed residual in every format; all are rounded side by side, a block at a time.

    *rows* is [outputs, terms], *factor* [groups, terms, terms].
    """
    terms = rows.shape[1]
    current = rows.reshape(1, len(factor), -1, terms).repeat(len(formats), 1, 1, 1)
    total = torch.zeros(len(formats), dtype=torch.float64)
    for first in range(0, terms, _BLOCK):
        last = min(first + _BLOCK, terms)
        errors = torch.zeros_like(current[..., first:last])
        for i in range(first, last):
            column = current[..., i]
            rounded = torch.stack([
                _column(each.reshape(-1, 1), fmt, own, i, rows.shape).view_as(each)
                for each, fmt, own in zip(column, formats, params, strict=True)])
            error = (column - rounded) / factor[:, i, i, None]
            errors[..., i - first] = error
            total += error.flatten(1).double().square().sum(1).cpu()
            current[..., i + 1:last] -= error.unsqueeze(-1) * factor[:, i, None, i + 1:last]
        current[..., last:] -= errors @ factor[:, first:last, last:]
    found: list[float] = total.tolist()
    return found


def _column(column: Tensor, fmt: Format, params: Params, i: int,
            shape: Sequence[int]) -> Tensor:
    """Column *i* of a weight with that *shape*, rounded with the scales of its own slices."""
    own = params
    size = fmt.group_size
    if size is not None and size < shape[1]:
        runs = len(params.scale) // shape[0]
        own = Params(scale=params.scale.view(shape[0], runs)[:, i // size, None],
                     zero_point=params.zero_point.view(shape[0], runs)[:, i // size, None],
                     more=params.more)
    return fake_quantize(quantizer_of(fmt), column, own, fmt)
