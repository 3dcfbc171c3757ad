"""The Fisher score is the expected quadratic form, layer by layer and group by group."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mpsearch import metrics
from mpsearch.core.types import Scheme
from mpsearch.quantizers.base import fake_quantize
from mpsearch.quantizers.uniform import Uniform
from mpsearch.sensitivity.fisher import Fisher
from mpsearch.sensitivity.kl_probe import KlProbe
from mpsearch.sensitivity.probe import ProbeEngine
from mpsearch.sensitivity.replay import ReplayEngine


@pytest.fixture
def draw(monkeypatch):
    """Make every drawn label the same."""
    def label(number):
        def gradient(output, _uniforms):
            chosen = torch.zeros_like(output)
            chosen[:, number] = 1
            return output.softmax(1) - chosen

        monkeypatch.setattr(metrics, "sampled_gradient", gradient)
    return label


@pytest.fixture
def expected_rows(models, draw):
    """For each group and scheme the score of each sample, in expectation over its labels."""
    def of(name, study, classes=3):
        model = models.caught(name)
        chances = torch.cat([model.program.run(batch.args).double().softmax(-1)
                             for batch in study.batches])
        total = {}
        for label in range(classes):
            draw(label)
            _, ledger = models.measure(ReplayEngine(), Fisher(), study)
            for group in study.space.groups:
                rows = [torch.tensor(ledger.units[f"{number}/{group.name}"], dtype=torch.float64)
                        for number in range(len(study.batches))]
                weighed = torch.cat(rows, 1) * chances[:, label]
                total[group.name] = total.get(group.name, 0) + weighed
        return total
    return of


def replayed(layer, x, scheme):
    """A linear layer's output change under a scheme with a weight and a dynamic input format."""
    quantizer = Uniform()

    def through(tensor, fmt, axes=None):
        if fmt is None:
            return tensor
        return fake_quantize(quantizer, tensor, quantizer.fit(tensor, [fmt], axes)[0], fmt, axes)

    changed = F.linear(through(x, scheme.input, (-1,)), through(layer.weight, scheme.weight),
                       layer.bias)
    return (changed - F.linear(x, layer.weight, layer.bias)).double()


def exact(module, x, tied, scheme):
    """½ sum_c p_c (sum_l <g_cl, dz_l>)² of each sample, by one backward pass for each class."""
    outputs, changes = [], []

    def note(layer, args, output):
        if layer in tied:
            changes.append(replayed(layer, args[0].detach(), scheme))
            output = output.detach().requires_grad_() if not output.requires_grad else output
            outputs.append(output)
        return output

    handles = [layer.register_forward_hook(note) for layer in tied]
    log_p = module(x).log_softmax(-1)
    for handle in handles:
        handle.remove()
    total = torch.zeros(len(x), dtype=torch.float64)
    for label in range(log_p.shape[1]):
        gradients = torch.autograd.grad(-log_p[:, label].sum(), outputs, retain_graph=True)
        products = sum((g.double() * dz).sum(-1)
                       for g, dz in zip(gradients, changes, strict=True))
        total += log_p[:, label].detach().double().exp() * products.square() / 2
    return total


def test_it_is_the_quadratic_form_of_every_layer_and_scheme(models, expected_rows):
    model = models.caught("chain")
    batches = [models.inputs_of("chain", n, seed=n) for n in (3, 2)]
    schemes = models.weights_and_inputs((2, 4), [None, models.int_format(3, "token")])
    study = models.study_of(model, schemes, batches)
    found = expected_rows("chain", study)
    x = torch.cat([args[0] for args in batches])
    for group in study.space.groups:
        layer = model.module.get_submodule(group.name)
        for k, scheme in enumerate(group.schemes):
            expected = exact(model.module, x, [layer], scheme)
            torch.testing.assert_close(found[group.name][k], expected, rtol=1e-3, atol=1e-9)


def test_products_of_a_group_add_up_before_the_square(models, expected_rows):
    model = models.caught("chain")
    args = models.inputs_of("chain", 4)
    schemes = models.weights_only(3)
    tied = ("layers.0", "layers.2")
    study = models.study_of(model, schemes, [args], tie=(tied,))
    assert [group.layers for group in study.space.groups] == [tied, ("layers.1",)]
    found = expected_rows("chain", study)["layers.0"][0]
    layers = [model.module.get_submodule(name) for name in tied]
    together = exact(model.module, args[0], layers, schemes[0])
    torch.testing.assert_close(found, together, rtol=1e-3, atol=1e-9)
    apart = sum(exact(model.module, args[0], [layer], schemes[0]) for layer in layers)
    assert float((apart - together).abs().max()) > 0.05 * float(together.max())


def test_products_of_a_layer_that_runs_twice_add_up(models, expected_rows):
    model = models.caught("twice")
    args = models.inputs_of("twice", 4)
    (scheme,) = schemes = models.weights_only(3)
    found = expected_rows("twice", models.study_of(model, schemes, [args]))["again"][0]
    expected = exact(model.module, args[0], [model.module.again], scheme)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-9)


def test_drawing_labels_gives_the_expectation(models):
    model = models.caught("chain")
    (x,) = models.inputs_of("chain", 3)
    (scheme,) = schemes = models.weights_only(3)
    study = models.study_of(model, schemes, [(x.repeat(2000, 1),)])
    found, _ = models.measure(ReplayEngine(), Fisher(), study)
    for name, (value,) in zip(found.groups, found.values, strict=True):
        layer = model.module.get_submodule(name)
        expected = float(exact(model.module, x, [layer], scheme).mean())
        assert value == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("name", ["chain", "residual", "attention", "sdpa_gqa", "mha_weights",
                                  "tokens_first", "windows"])
def test_it_estimates_the_divergence_of_small_changes(models, expected_rows, name):
    study = models.study_of(models.caught(name), models.weights_and_inputs(
        (10,), [models.int_format(10, "token")]), [models.inputs_of(name, 12)])
    measured, _ = models.measure(ProbeEngine(), KlProbe(), study)
    expected = expected_rows(name, study)
    for group, (value,) in zip(measured.groups, measured.values, strict=True):
        assert float(expected[group][0].mean()) == pytest.approx(value, rel=0.1, abs=1e-12)


@pytest.mark.parametrize("name", ["positions", "maps"])
def test_it_estimates_the_mean_divergence_of_all_positions(models, name):
    (x,) = models.inputs_of(name, 10)
    study = models.study_of(models.caught(name), models.weights_only(8), [(x.repeat(300, 1),)])
    measured, _ = models.measure(ProbeEngine(), KlProbe(), study)
    estimated, _ = models.measure(ReplayEngine(), Fisher(), study)
    for estimate, value in zip(estimated.values, measured.values, strict=True):
        assert estimate[0] == pytest.approx(value[0], rel=0.15)


@pytest.mark.parametrize("name", ["residual", "attention", "sdpa_mask", "mha", "mha_weights",
                                  "tokens_first", "windows", "twice", "stored"])
def test_samples_do_not_know_of_each_other(models, draw, name):
    draw(1)
    model = models.caught(name)
    args = models.inputs_of(name, 3)
    alone = [tuple(arg[n:n + 1] for arg in args) for n in range(3)]
    schemes = models.weights_and_inputs((4,), [models.int_format(4, "token")])
    together = models.measure(ReplayEngine(), Fisher(), models.study_of(model, schemes, [args]))[1]
    apart = models.measure(ReplayEngine(), Fisher(), models.study_of(model, schemes, alone))[1]
    for spec in model.layers.specs:
        rows = torch.tensor(together.units[f"0/{spec.name}"])
        assert rows.max() > 0
        torch.testing.assert_close(
            rows, torch.cat([torch.tensor(apart.units[f"{n}/{spec.name}"]) for n in range(3)], 1),
            rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("name", ["branch", "branch_tokens_first"])
def test_a_padded_batch_scores_like_the_whole_one(models, draw, name):
    draw(0)
    model = models.caught(name)
    (x,) = models.inputs_of(name, 3)
    schemes = models.weights_only(3)
    whole = models.measure(ReplayEngine(), Fisher(), models.study_of(model, schemes, [(x,)]))[1]
    part = models.measure(ReplayEngine(), Fisher(), models.study_of(model, schemes, [(x[:2],)]))[1]
    for unit, rows in whole.units.items():
        torch.testing.assert_close(torch.tensor(part.units[unit]), torch.tensor(rows)[:, :2])


def test_what_all_samples_share_is_scored_once_for_all_of_them(models):
    model = models.caught("language")
    (ids,) = models.inputs_of("language", 4)
    study = models.study_of(model, models.weights_only(6), [(ids.repeat(400, 1),)])
    measured, _ = models.measure(ProbeEngine(), KlProbe(), study)
    estimated, ledger = models.measure(ReplayEngine(), Fisher(), study)
    assert len(set(ledger.units["0/places"][0])) == 1
    # one draw for the whole batch: only the order of magnitude is stable
    ratio = estimated.values[1][0] / measured.values[1][0]
    assert 0.01 < ratio < 8


def test_a_layer_that_the_output_does_not_need_scores_nothing(models):
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.aside = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x):
            return self.main(x), self.aside(x)

    model = models.catch(Aside(), models.vectors())
    study = models.study_of(model, models.weights_only(2, 4), [models.vectors()])
    table, _ = models.measure(ReplayEngine(), Fisher(), study)
    scores = dict(zip(table.groups, table.values, strict=True))
    assert scores["aside"] == (0.0, 0.0)
    assert min(scores["main"]) > 0


def test_seeds_decide_the_labels(models):
    model, args = models.caught("chain"), models.inputs_of("chain", 20)
    first, again, other = (
        models.measure(ReplayEngine(), Fisher(), models.study_of(
            model, models.weights_only(3), [args], seed=seed))[0] for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_batches_draw_labels_of_their_own(models):
    model, args = models.caught("chain"), models.inputs_of("chain", 20)
    _, ledger = models.measure(ReplayEngine(), Fisher(), models.study_of(
        model, models.weights_only(3), [args, args]))
    assert ledger.units["0/layers.1"] != ledger.units["1/layers.1"]


def test_a_float_scheme_loses_nothing(models):
    study = models.study_of(models.caught("sdpa"), (Scheme(), *models.weights_and_inputs(
        (4,), [models.int_format(4, "token")])), [models.inputs_of("sdpa", 3)])
    table, _ = models.measure(ReplayEngine(), Fisher(), study)
    assert {row[0] for row in table.values} == {0.0}
    assert min(row[1] for row in table.values) > 0
