"""GPTQ's residual is that of a plain loop over columns, in double precision."""

import numpy as np
import pytest
import torch
from torch import nn

from mpsearch.core.types import Scheme
from mpsearch.sensitivity import rounding
from mpsearch.sensitivity.gptq_loss import GptqLoss
from mpsearch.sensitivity.output_error import OutputError
from mpsearch.sensitivity.replay import ReplayEngine
from mpsearch.sensitivity.second_moments import MomentsEngine

GRANULARITIES = ["channel", "tensor", "group:4", "group:5", "group:100"]


def formats(models, *widths, granularities=GRANULARITIES):
    return [models.int_format(bits, granularity, symmetric=symmetric) for bits in widths
            for granularity in granularities for symmetric in (True, False)]


def scale_of(fmt, values, rows, terms):
    """*values*, one a slice of the weight, as one an element."""
    values = values.flatten().double().numpy()
    if fmt.granularity == "tensor":
        return np.full((rows, terms), values[0])
    size = min(fmt.group_size or terms, terms)
    return values.reshape(rows, -1).repeat(size, 1)[:, :terms]


def reference(weight, x, fmt, params, damp):
    """Columns rounded in order, each one's error made up for by those that follow.

    After a column is rounded, the best values of the columns that remain solve the least-squares
    problem that is left; no Cholesky factor is used.
    """
    w = weight.detach().double().numpy().copy()
    rows, terms = w.shape
    scale, zero = (scale_of(fmt, each, rows, terms) for each in (params.scale, params.zero_point))
    first, last = fmt.code_range
    h = x.T @ x / len(x)
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    h += damp * np.diag(h).mean() * np.eye(terms)
    total = 0.0
    for i in range(terms):
        q = (np.clip(np.round(w[:, i] / scale[:, i]) + zero[:, i], first, last)
             - zero[:, i]) * scale[:, i]
        inverse = np.linalg.inv(h[i:, i:])
        error = w[:, i] - q
        total += (error**2).sum() / inverse[0, 0]
        w[:, i + 1:] -= np.outer(error, inverse[0, 1:]) / inverse[0, 0]
        w[:, i] = q
    return total


def linear(models, x, fmts, outputs=7, seed=0):
    """A study of one linear layer on *x*, the weight's rows of different size."""
    torch.manual_seed(seed)
    layer = nn.Linear(x.shape[-1], outputs)
    with torch.no_grad():
        layer.weight.mul_(torch.rand(outputs, 1) + 0.1)
    model = models.catch(nn.Sequential(layer), (x,))
    return layer, models.study_of(model, tuple(Scheme(weight=fmt) for fmt in fmts), [(x,)])


def score(models, study, **settings):
    table, _ = models.measure(MomentsEngine(), GptqLoss(**settings), study)
    return table.values[0]


def related(samples=40, terms=13, seed=0):
    torch.manual_seed(seed)
    return torch.randn(samples, 5) @ torch.randn(5, terms) + 0.3 * torch.randn(samples, terms)


@pytest.mark.parametrize("block", [3, 128])
@pytest.mark.parametrize("dead", [(), (2, 9)])
def test_it_is_the_residual_of_a_plain_loop(models, monkeypatch, block, dead):
    monkeypatch.setattr(rounding, "_BLOCK", block)
    x = related()
    x[:, list(dead)] = 0
    fmts = formats(models, 3, 4)
    layer, study = linear(models, x, fmts)
    for fmt, value in zip(fmts, score(models, study, damp=0.05), strict=True):
        params = study.fake.weights.encode("0", fmt)[1]
        expected = reference(layer.weight, x.double().numpy(), fmt, params, 0.05)
        assert value == pytest.approx(expected, rel=2e-3), fmt
        assert value > 0


def test_groups_of_a_convolution_are_rounded_apart(models):
    torch.manual_seed(0)
    layer = nn.Conv1d(4, 6, 3, groups=2)
    x = torch.randn(5, 4, 9)
    fmts = formats(models, 3, granularities=("channel", "group:4"))
    model = models.catch(nn.Sequential(layer, nn.Flatten()), (x,))
    study = models.study_of(model, tuple(Scheme(weight=fmt) for fmt in fmts), [(x,)])
    for fmt, value in zip(fmts, score(models, study), strict=True):
        params, total = study.fake.weights.encode("0", fmt)[1], 0.0
        for group in range(2):
            rows = x[:, 2 * group:2 * group + 2].unfold(2, 3, 1).transpose(1, 2).flatten(2)
            own = type(params)(**{name: getattr(params, name).view(2, -1)[group]
                                  for name in ("scale", "zero_point")})
            total += reference(layer.weight[3 * group:3 * group + 3].flatten(1),
                               rows.flatten(0, 1).double().numpy(), fmt, own, 0.01)
        assert value == pytest.approx(total * 7, rel=2e-3)  # positions a sample


def test_inputs_that_are_unrelated_leave_the_plain_error(models):
    x = torch.diag(torch.tensor([0.5, 1, 2, 3, 1, 0.1, 1, 4, 2]))
    _, study = linear(models, x, formats(models, 2, 4))
    plain, _ = models.measure(ReplayEngine(), OutputError(), study)
    assert score(models, study, damp=0.0) == pytest.approx(plain.values[0], rel=1e-4)


def test_what_dead_inputs_meet_costs_nothing(models):
    x = related()
    fmts = formats(models, 2, granularities=("channel",))
    x[:, 1:] = 0
    _, study = linear(models, x, fmts)
    plain, _ = models.measure(ReplayEngine(), OutputError(), study)
    assert score(models, study, damp=0.0) == pytest.approx(plain.values[0], rel=1e-4)


def test_rounding_well_leaves_less_than_plain_rounding_on_average(models):
    ratios = []
    for seed in range(6):
        _, study = linear(models, related(seed=seed), formats(models, 3, 5), outputs=12, seed=seed)
        plain, _ = models.measure(ReplayEngine(), OutputError(), study)
        ratios.append(np.divide(score(models, study, damp=1e-3), plain.values[0]))
    assert np.mean(ratios) < 0.8
    assert np.max(np.mean(ratios, 0)) < 1


def test_an_embedding_leaves_the_error_of_the_rows_that_are_read(models):
    torch.manual_seed(0)
    table = nn.Embedding(6, 4)
    ids = torch.tensor([[0, 1, 1], [2, 1, 0]])
    model = models.catch(nn.Sequential(table, nn.Flatten(), nn.Linear(12, 3)), (ids,))
    study = models.study_of(model, (*models.weights_only(3), Scheme()), [(ids,)])
    error = study.fake.weights.fake("0", study.space.groups[0].schemes[0].weight) - table.weight
    expected = float(error[ids].square().sum().detach()) / 2
    assert score(models, study) == pytest.approx((expected, 0.0), rel=1e-5)
