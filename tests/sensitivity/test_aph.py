"""Perturbed gradients give the Hessian's diagonal with random signs, and rows' sums with ones."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import hessian
from torch.nn import functional as F  # noqa: N812

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.sensitivity.aph import Aph
from mpsearch.sensitivity.tail import TailEngine

T = 2.0


class PreNorm(nn.Module):
    """Attention and an MLP, each reading normalized tokens, and a normalized head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2)
                   for part in self.qkv(self.norms[0](x)).chunk(3, -1))
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        x = x + self.down(F.gelu(self.up(self.norms[1](x))))
        return self.head(self.norms[2](x).mean(1))


def tail_of_chain(module, layer, z):
    """The output of a chain of linear layers from the output *z* of one of them on."""
    for follower in module.layers[layer + 1:]:
        z = follower(F.gelu(z))
    return z


def exact(module, x, layer):
    """The Hessian at each sample's output of *layer*, and that output."""
    z = x
    for number, each in enumerate(module.layers[:layer + 1]):
        z = each(F.gelu(z) if number else z)
    p = (tail_of_chain(module, layer, z) / T).softmax(-1)

    def loss(own, target):
        return -(target * (tail_of_chain(module, layer, own) / T).log_softmax(-1)).sum()

    return torch.stack([hessian(loss)(one, target)
                        for one, target in zip(z, p, strict=True)]), z


def chain(models, samples=3, copies=1):
    module = models.build("chain")[0].double()
    x = torch.cat([models.inputs_of("chain", samples)[0].double()] * copies)
    model = models.catch(module, (x[:3],))
    return model, x


def squares(study, module, x, layer):
    """Squared output changes of a chain's *layer* under the only scheme, a sample."""
    name = f"layers.{layer}"
    weight = study.fake.weights.fake(name, study.groups[name].schemes[0].weight)
    z = x
    for number, each in enumerate(module.layers[:layer]):
        z = each(F.gelu(z) if number else z)
    z = F.gelu(z) if layer else z
    return (z @ (weight - module.layers[layer].weight).T).square()


def test_random_signs_give_the_diagonal_on_average(models):
    model, x = chain(models, copies=1500)
    study = models.study_of(model, models.weights_only(3), [(x,)])
    table, _ = models.measure(TailEngine(), Aph(temperature=T), study)
    for layer, (value, stderr) in enumerate(zip(table.values, table.stderr, strict=True)):
        found, _ = exact(model.module, x[:3], layer)
        changes = squares(study, model.module, x[:3], layer)
        expected = (torch.diagonal(found, dim1=1, dim2=2) * changes).sum(1).mean() / 2
        assert abs(value[0] - float(expected)) < 4 * stderr[0] < 0.5 * value[0]


def test_ones_give_the_sums_of_the_rows(models):
    model, x = chain(models)
    study = models.study_of(model, models.weights_only(3), [(x,)])
    step = 1e-4
    table, _ = models.measure(TailEngine(), Aph(signs="ones", step=step, temperature=T), study)
    for layer, (value,) in enumerate(table.values):
        found, _ = exact(model.module, x, layer)
        changes = squares(study, model.module, x, layer)
        expected = 2 * step * (found.sum(-1).abs() * changes).sum(1).mean() / 2
        assert value == pytest.approx(float(expected), rel=1e-3, abs=1e-14)


def test_ones_see_nothing_before_a_normalization(models):
    torch.manual_seed(0)
    args = (torch.randn(64, 5, 8, dtype=torch.float64),)
    study = models.study_of(models.catch(PreNorm().double(), args), models.weights_only(3), [args])
    random, ones = (dict(zip(table.groups, table.values, strict=True)) for table in (
        models.measure(TailEngine(), estimator, study)[0]
        for estimator in (Aph(), Aph(signs="ones"))))
    for layer in ("stem", "proj", "down"):
        assert random[layer][0] > 0
        assert ones[layer][0] / 2e-6 < 1e-6 * random[layer][0]
    assert ones["up"][0] / 2e-6 > 1e-3 * random["up"][0]


def test_single_precision_is_enough_for_random_signs(models):
    model, x = chain(models, samples=40)
    double, single = (models.measure(TailEngine(), Aph(), models.study_of(
        each, models.weights_only(3), [(own,)]))[0] for each, own in (
            (model, x), (models.caught("chain"), x.float())))
    for one, other in zip(double.values, single.values, strict=True):
        assert one == pytest.approx(other, rel=0.02)


def compare_samples(models, model, args, estimator):
    """All samples in one batch against a batch for each, little memory and another order."""
    schemes = models.weights_and_inputs((4,), [models.int_format(4, "token")])
    together = models.study_of(model, schemes, [args])
    alone = models.study_of(model, schemes, [tuple(a[n:n + 1] for a in args) for n in range(3)])
    turned = replace(alone.space, groups=alone.space.groups[::-1])
    alone = replace(alone, space=turned, memory=1)
    one, two = (models.measure(TailEngine(), estimator, study)[0] for study in (together, alone))
    assert one.groups == two.groups[::-1]
    assert sum(row[0] > 0 for row in one.values) >= len(one.values) / 2
    for row, again in zip(one.values, two.values[::-1], strict=True):
        assert row == pytest.approx(again, rel=1e-3, abs=1e-11)


@pytest.mark.parametrize("name", ["residual", "sdpa_mask", "mha_weights", "tokens_first",
                                  "windows", "twice", "language"])
def test_samples_do_not_know_of_each_other(models, name):
    compare_samples(models, models.caught(name), models.inputs_of(name, 3), Aph())


@pytest.mark.parametrize("name", ["twice", "windows"])
def test_nor_with_ones(models, name):
    # in double precision: else it is rounding noise
    args = tuple(arg.double() for arg in models.inputs_of(name, 3))
    model = models.catch(models.build(name)[0].double(), args)
    compare_samples(models, model, args, Aph(signs="ones", step=1e-2))


def test_little_memory_changes_nothing_within_a_batch(models):
    model, args = models.caught("sdpa"), models.inputs_of("sdpa", 5)
    study = models.study_of(model, models.weights_only(4), [args])
    whole, parts = (models.measure(TailEngine(), Aph(), each)[1].units
                    for each in (study, replace(study, memory=1)))
    for unit, rows in whole.items():
        torch.testing.assert_close(torch.tensor(rows), torch.tensor(parts[unit]),
                                   rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("name", ["branch", "branch_tokens_first"])
def test_a_padded_batch_scores_like_the_whole_one(models, name):
    (x,) = models.inputs_of(name, 3)
    whole, part = (models.measure(TailEngine(), Aph(), models.study_of(
        models.caught(name), models.weights_only(3), [(own,)]))[1].units for own in (x, x[:2]))
    for unit, rows in whole.items():
        torch.testing.assert_close(torch.tensor(part[unit]), torch.tensor(rows)[:, :2],
                                   rtol=1e-3, atol=1e-12)


def test_sites_and_layers_of_a_group_add_up(models):
    args = models.inputs_of("twice", 4)
    model = models.caught("twice")
    apart, tied = (models.measure(TailEngine(), Aph(), models.study_of(
        model, models.weights_only(3), [args], tie=tie))[1].units
        for tie in ((), (("again", "other"),)))
    sums = torch.tensor(apart["0/again"]) + torch.tensor(apart["0/other"])
    torch.testing.assert_close(torch.tensor(tied["0/again"]), sums)


def test_activations_and_products_are_scored_and_float_costs_nothing(models):
    study = models.study_of(models.caught("sdpa"), (Scheme(), *models.weights_and_inputs(
        (4,), [models.int_format(4, "token")])), [models.inputs_of("sdpa", 40)])
    for estimator in (Aph(), Aph(signs="ones", step=1e-2)):
        table, _ = models.measure(TailEngine(), estimator, study)
        assert {row[0] for row in table.values} == {0.0}
        assert min(row[1] for row in table.values) > 0


def test_a_total_below_zero_counts_as_zero(models):
    study = models.study_of(models.caught("chain"), models.weights_only(3),
                            [models.inputs_of("chain", 2)])
    rows = {unit: [[-3.0, 1.0]] for unit in TailEngine().units(study, Aph())}
    assert TailEngine().table("it", Aph(), study, rows).values == ((0.0,),) * 3


def test_two_estimators_share_a_pass_and_seeds_decide_the_signs(models):
    args = models.inputs_of("chain", 3)
    study = models.study_of(models.caught("chain"), models.weights_only(3), [args])
    both = {"one": Aph(), "two": Aph(signs="ones")}
    tables, _ = models.measure_all(TailEngine(), both, study)
    for name, estimator in both.items():
        assert tables[name].values == models.measure(TailEngine(), estimator, study)[0].values
    other, _ = models.measure(TailEngine(), Aph(), replace(study, seed=1))
    assert other.values != tables["one"].values


@pytest.mark.parametrize("wrong", [{"step": 0.0}, {"temperature": 0.0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(BadInput, match="aph needs"):
        Aph(**wrong)
