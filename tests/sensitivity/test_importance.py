"""Units are ranked by the gradients of gates on them, or by their weights."""

from dataclasses import replace

import pytest
import torch

from mpsearch import metrics
from mpsearch.core.types import Scheme
from mpsearch.sensitivity.importance import Gates, rank_units


@pytest.fixture(scope="module")
def caught(models):
    """A block whose third head and hidden units 4 and 7 do nothing."""
    torch.manual_seed(1)
    module = models.PreNorm()
    with torch.no_grad():
        module.proj.weight[:, 8:12] = 0
        module.fc2.weight[:, [4, 7]] = 0
        module.fc1.weight[5] *= 1e-3
    return models.catch(module, (torch.randn(3, 5, 8),))


@pytest.fixture(scope="module")
def study(caught, models):
    torch.manual_seed(2)
    batches = [(torch.randn(count, 5, 8),) for count in (4, 3)]
    return models.study_of(caught, (Scheme(),), batches)


def gradients(module, x, cotangent):
    """d loss / d gate of every head and hidden unit, a sample: torch's own way to them."""
    samples = len(x)
    heads = torch.ones(samples, 1, 4, requires_grad=True)
    hidden = torch.ones(samples, 1, 12, requires_grad=True)
    hooks = [module.proj.register_forward_pre_hook(
                 lambda _, args: (args[0] * heads.repeat_interleave(4, -1),)),
             module.fc2.register_forward_pre_hook(lambda _, args: (args[0] * hidden,))]
    output = module(x)
    for hook in hooks:
        hook.remove()
    return [gate[:, 0] for gate in torch.autograd.grad(output, [heads, hidden], cotangent)]


def test_importance_is_the_mean_square_of_the_gates_gradients(caught, study):
    branches = caught.layers.branches
    sums = [0, 0]
    for number, batch in enumerate(study.batches):
        with torch.no_grad():
            output = caught.module(*batch.args)
        cotangent = metrics.sampled_gradient(output, study.uniforms(number, 1))
        for place, gate in enumerate(gradients(caught.module, batch.args[0], cotangent)):
            sums[place] = sums[place] + gate.square().sum(0)
    found = Gates(study, branches).scores()
    for branch, expected in zip(branches, sums, strict=True):
        assert torch.allclose(found[branch.name].float(), expected / 7, rtol=1e-4, atol=1e-9)


def test_what_does_nothing_goes_first_by_data(caught, study):
    attention, mlp = (branch.name for branch in caught.layers.branches)
    found = rank_units(study, {attention: "taylor", mlp: "taylor"})
    assert found[attention][-1] == 2
    assert found[mlp][-2:] == (4, 7)
    assert sorted(found[mlp]) == list(range(12))


def test_what_has_small_weights_goes_first_by_magnitude(caught, study):
    mlp = caught.layers.branch("fc1").name
    assert rank_units(study, {mlp: "magnitude"})[mlp][-1] == 5
    rows = caught.module.qkv.weight.abs().sum(1).view(3, 4, 4).sum((0, 2))
    attention = caught.layers.branch("qkv").name
    assert rank_units(study, {attention: "magnitude"})[attention] == tuple(
        rows.argsort(descending=True).tolist())


def test_memory_does_not_change_the_ranking(caught, study):
    names = {branch.name: "taylor" for branch in caught.layers.branches}
    assert rank_units(replace(study, memory=1), names) == rank_units(study, names)
