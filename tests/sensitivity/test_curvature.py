"""The scores of curvature are those of the exact Hessian, computed in full for small networks."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian
from torch.nn import functional as F  # noqa: N812

from mpsearch.core.errors import BadInput
from mpsearch.core.types import Scheme
from mpsearch.sensitivity.curvature import CurvatureEngine
from mpsearch.sensitivity.hessian_top import HessianTop
from mpsearch.sensitivity.hessian_trace import HessianTrace
from mpsearch.sensitivity.power import PowerEngine

BOTH = [(CurvatureEngine(), HessianTrace()), (PowerEngine(), HessianTop())]


def exact(module, name, args, labels=None):
    """Mean over samples of the Hessian of the loss in one parameter, as a matrix."""
    weights = {each: value.detach().double() for each, value in module.named_parameters()}
    weights |= {each: value.double() for each, value in module.named_buffers()}
    args = tuple(arg.double() if arg.is_floating_point() else arg for arg in args)
    p = functional_call(module, weights, args).softmax(-1)

    def loss(weight):
        log_q = functional_call(module, {**weights, name: weight}, args).log_softmax(-1)
        if labels is not None:
            return F.nll_loss(log_q, labels)
        return -(p * log_q).sum(-1).mean()

    size = weights[name].numel()
    return hessian(loss)(weights[name]).reshape(size, size)


def factors(table, study):
    """What multiplies the squared error of each group's only scheme, and its standard error."""
    found = {}
    for group, (value,), (stderr,) in zip(
            table.groups, table.values, table.stderr or [[0.0]] * len(table.groups), strict=True):
        error = squared_error(study, group, study.groups[group].schemes[0])
        found[group] = value / error, stderr / error
    return found


def squared_error(study, layer, scheme):
    rows = study.fake.weights.rows(layer).double()
    return float((rows - study.fake.weights.fake(layer, scheme.weight).double()).square().sum())


def chain_study(models, memory=2 << 30, seed=0, samples=(3, 2)):
    batches = [models.inputs_of("chain", n, seed=n) for n in samples]
    study = models.study_of(models.caught("chain"), models.weights_only(4), batches, seed=seed)
    return replace(study, memory=memory), (torch.cat([args[0] for args in batches]),)


def test_the_trace_of_a_linear_softmax_model_is_known(models):
    module = nn.Sequential(nn.Linear(6, 3)).eval()
    args = models.vectors(5)
    study = models.study_of(models.catch(module, args), models.weights_only(4), [args])
    table, _ = models.measure(CurvatureEngine(), HessianTrace(probes=200), study)
    found, spread = factors(table, study)["0"]
    p = module(args[0]).softmax(-1).double()
    trace = ((1 - p.square().sum(-1)) * args[0].double().square().sum(-1)).mean()
    assert abs(found - float(trace) / 18 / 2) < 4 * spread < 0.4 * found


@pytest.mark.parametrize("labelled", [False, True])
def test_the_trace_is_that_of_each_layers_exact_hessian(models, labelled):
    study, args = chain_study(models)
    labels = torch.arange(5) % 3 if labelled else None
    if labelled:
        parts = labels.split([3, 2])
        study = replace(study, batches=[replace(batch, labels=part) for batch, part in zip(
            study.batches, parts, strict=True)])
    estimator = HessianTrace(probes=300, loss="labels" if labelled else "model")
    table, _ = models.measure(CurvatureEngine(), estimator, study)
    module = models.caught("chain").module
    for group, (found, spread) in factors(table, study).items():
        matrix = exact(module, f"{group}.weight", args, labels)
        expected = float(matrix.trace()) / len(matrix) / 2
        assert abs(found - max(expected, 0)) < 4 * spread


@pytest.mark.parametrize("labelled", [False, True])
def test_the_top_is_the_largest_eigenvalue(models, labelled):
    study, args = chain_study(models)
    labels = torch.tensor([0, 1, 2, 0, 1]) if labelled else None
    if labelled:
        study = replace(study, batches=[replace(study.batches[0], labels=labels[:3]),
                                        replace(study.batches[1], labels=labels[3:])])
    estimator = HessianTop(iterations=60, loss="labels" if labelled else "model")
    table, _ = models.measure(PowerEngine(), estimator, study)
    for group, (found, _) in factors(table, study).items():
        values = torch.linalg.eigvalsh(
            exact(models.caught("chain").module, f"{group}.weight", args, labels))
        largest = values[values.abs().argmax()]
        assert found == pytest.approx(max(float(largest), 0) / 2, rel=0.01)


def test_the_top_looks_at_the_first_samples_only(models):
    study, (x,) = chain_study(models, samples=(3, 4))
    few, _ = models.measure(PowerEngine(), HessianTop(samples=4), study)
    alone, _ = chain_study(models)
    alone = replace(alone, batches=[replace(alone.batches[0], args=(x[:4],))])
    expected, _ = models.measure(PowerEngine(), HessianTop(), alone)
    for one, other in zip(few.values, expected.values, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize(("engine", "estimator"), BOTH)
@pytest.mark.parametrize("name", ["chain", "sdpa_gqa"])
def test_batches_memory_and_order_do_not_matter(models, engine, estimator, name):
    args = models.inputs_of(name, 5)
    apart = [tuple(arg[part] for arg in args) for part in (slice(0, 2), slice(2, 5))]
    study, other = (models.study_of(models.caught(name), models.weights_only(3), batches)
                    for batches in ([args], apart))
    turned = replace(other.space, groups=other.space.groups[::-1])
    other = replace(other, space=turned, memory=1)
    one, two = (models.measure(engine, estimator, each)[0] for each in (study, other))
    assert one.groups == two.groups[::-1]
    assert max(value for row in one.values for value in row) > 0
    largest = max(value for row in one.values for value in row)
    for row, again in zip(one.values, two.values[::-1], strict=True):
        assert row == pytest.approx(again, rel=1e-3, abs=1e-5 * largest)


@pytest.mark.parametrize(("engine", "estimator"), BOTH)
def test_the_same_study_gives_the_same_bytes_whatever_is_left_to_do(
        models, engine, estimator):
    study, _ = chain_study(models)
    table, ledger = models.measure(engine, estimator, study)
    units = list(ledger.units)
    rest = models.MemoryLedger({unit: ledger.units[unit] for unit in units[1::2]})
    again, ledger_again = models.measure(engine, estimator, study, rest)
    assert again == table
    assert ledger_again.units == ledger.units
    assert rest.noted == units[::2]
    other, _ = models.measure(engine, estimator, replace(study, seed=1))
    assert other != table


@pytest.mark.parametrize(("engine", "estimator"), BOTH)
def test_fused_attention_is_differentiated_twice(models, engine, estimator):
    args = models.inputs_of("sdpa", 4)
    both = [models.measure(engine, estimator, models.study_of(
        models.caught(name), models.weights_only(4), [args]))[0] for name in ("sdpa", "attention")]
    one, other = (dict(zip(each.groups, each.values, strict=True)) for each in both)
    for layer in ("q", "k", "v", "proj", "head"):
        assert one[layer] == pytest.approx(other[layer], rel=1e-3)
    assert one["v"][0] > 0
    assert one["matmul_0"] == (0.0,)


def test_a_tied_weight_counts_once_with_all_its_uses(models):
    args = models.inputs_of("language", 3)
    study = models.study_of(models.caught("language"), models.weights_only(4), [args],
                            tie=(("tokens", "head"),))
    module = models.build("language")[0]
    values = torch.linalg.eigvalsh(exact(module, "tokens.weight", args))
    table, _ = models.measure(PowerEngine(), HessianTop(iterations=60), study)
    assert factors(table, study)["tokens"][0] == pytest.approx(
        float(values[-1]) / 2, rel=0.01)
    table, ledger = models.measure(CurvatureEngine(), HessianTrace(probes=100), study)
    found, spread = factors(table, study)["tokens"]
    assert len(ledger.units["0/0"]) == len(study.space.groups)
    assert abs(found - float(values.sum()) / len(values) / 2) < 4 * spread < 0.4 * found


@pytest.mark.parametrize(("engine", "estimator"), BOTH)
def test_float_costs_nothing_and_fewer_bits_cost_more(models, engine, estimator):
    study = models.study_of(models.caught("residual"), (Scheme(), *models.weights_only(2, 4)),
                            [models.inputs_of("residual", 3)])
    table, _ = models.measure(engine, estimator, study)
    assert {row[0] for row in table.values} == {0.0}
    assert max(row[1] for row in table.values) > 0
    assert all(row[1] > row[2] for row in table.values if row[1])


@pytest.mark.parametrize(("engine", "estimator"), BOTH)
def test_a_layer_that_the_output_does_not_need_scores_nothing(models, engine, estimator):
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.aside = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x):
            return self.main(x), self.aside(x)

    study = models.study_of(models.catch(Aside(), models.vectors()), models.weights_only(2),
                            [models.vectors()])
    table, _ = models.measure(engine, estimator, study)
    scores = dict(zip(table.groups, table.values, strict=True))
    assert scores["aside"] == (0.0,)
    assert scores["main"][0] > 0


@pytest.mark.parametrize(("engine", "estimator"), BOTH)
def test_what_does_not_fit_is_refused_by_name(models, engine, estimator):
    args = models.inputs_of("chain", 3)
    model = models.caught("chain")
    with pytest.raises(BadInput, match="it scores weights only"):
        models.measure(engine, estimator, models.study_of(model, models.weights_and_inputs(
            (4,), [models.int_format(4, "token")]), [args]))
    study = models.study_of(model, models.weights_only(4), [args])
    labelled = replace(estimator, loss="labels")
    with pytest.raises(BadInput, match="it with loss 'labels' needs labels"):
        models.measure(engine, labelled, study)
    with pytest.raises(BadInput, match="it: labels of shape"):
        models.measure(engine, labelled, replace(study, batches=[
            replace(study.batches[0], labels=torch.zeros(3, 2, dtype=torch.long))]))


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"samples": 0}])
def test_settings_that_measure_nothing_are_refused(wrong):
    with pytest.raises(BadInput, match="hessian_top needs"):
        HessianTop(**wrong)
    with pytest.raises(BadInput, match="hessian_trace needs"):
        HessianTrace(probes=0)
