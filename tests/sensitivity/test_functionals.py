"""Every functional of the shared pass is what autograd's gradients and a replaced layer give."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from mpsearch.core.types import Scheme
from mpsearch.sensitivity.fisher import Fisher
from mpsearch.sensitivity.fisher_diag import FisherDiag
from mpsearch.sensitivity.gauss_newton import GaussNewton
from mpsearch.sensitivity.gradient import Gradient
from mpsearch.sensitivity.output_error import OutputError
from mpsearch.sensitivity.replay import ReplayEngine
from mpsearch.sensitivity.sqnr import Sqnr

PLAIN = {"output_error": OutputError(), "sqnr": Sqnr(), "gradient": Gradient(),
         "fisher": Fisher(), "fisher_diag": FisherDiag()}


def labels(study, module, draw=0, draws=1):
    """The classes at which the cumulative chances pass the study's numbers."""
    (batch,) = study.batches
    chances = module(*batch.args).double().softmax(-1).cumsum(-1)
    return (chances <= study.uniforms(0, draws)[:, draw:draw + 1]).sum(-1)


def outputs_and_gradients(module, args, names, drawn):
    """The outputs of *names*, and the gradients of ``-log p(y)`` there."""
    module = deepcopy(module).requires_grad_(True)
    outputs = {}
    for name in names:
        module.get_submodule(name).register_forward_hook(
            lambda _layer, _args, output, name=name: outputs.setdefault(name, output))
    log_p = module(*args).double().log_softmax(-1)
    loss = -log_p.gather(1, drawn[:, None]).sum()
    gradients = torch.autograd.grad(loss, [outputs[name] for name in names])
    return {name: (outputs[name].detach().double(), g.double())
            for name, g in zip(names, gradients, strict=True)}


def change(models, module, name, scheme, args):
    """What *scheme* does to the output of the linear layer *name*, which sees its float input."""
    seen = {}
    handle = module.get_submodule(name).register_forward_hook(
        lambda _layer, args, output: seen.update(x=args[0], z=output))
    module(*args)
    handle.remove()
    layer = models.quantized_copy(module, {name: scheme}).get_submodule(name)
    return (layer(seen["x"]) - seen["z"]).double()


def by_hand(name, z, g, dz):
    z, g, dz = (each.flatten(1) for each in (z, g, dz))
    return {"output_error": (dz**2).sum(1), "sqnr": (dz**2).sum(1) / (z**2).sum(1),
            "gradient": (g * dz).sum(1).abs(), "fisher": (g * dz).sum(1)**2 / 2,
            "fisher_diag": ((g * dz)**2).sum(1) / 2}[name]


@pytest.fixture
def setting(models):
    def make(name, samples=4, schemes=None):
        model, args = models.caught(name), models.inputs_of(name, samples)
        schemes = schemes or (*models.weights_only(2, 4), Scheme())
        study = models.study_of(model, schemes, [args])
        linear = [each for each in study.groups
                  if isinstance(_module(model.module, each), nn.Linear)]
        return model.module, args, study, linear
    return make


def _module(module, name):
    return dict(module.named_modules()).get(name)


@pytest.mark.parametrize("network", ["chain", "attention"])
def test_each_score_is_its_functional_of_gradients_and_changes(models, setting, network):
    module, args, study, names = setting(network)
    _, ledgers = models.measure_all(ReplayEngine(), PLAIN, study)
    exact = outputs_and_gradients(module, args, names, labels(study, module))
    assert len(names) >= 3
    for name in names:
        z, g = exact[name]
        for k, scheme in enumerate(study.groups[name].schemes):
            dz = change(models, module, name, scheme, args)
            for estimator in PLAIN:
                found = torch.tensor(ledgers[estimator].units[f"0/{name}"][k],
                                     dtype=torch.float64)
                expected = by_hand(estimator, z, g, dz)
                torch.testing.assert_close(found, expected, rtol=1e-3,
                                           atol=1e-6 * float(expected.max()))
                assert bool((expected == 0).all()) == scheme.is_float


def test_a_linear_softmax_net_by_hand(models):
    module = nn.Sequential(nn.Linear(6, 3)).eval()
    args = models.vectors(50)
    (scheme,) = models.weights_only(3)
    study = models.study_of(models.catch(module, args), (scheme,), [args])
    tables, _ = models.measure_all(ReplayEngine(), PLAIN, study)
    error = models.quantized_copy(module, {"0": scheme})[0].weight - module[0].weight
    dz, z = (args[0] @ error.T).double(), module(*args).double()
    g = z.softmax(-1)
    g[torch.arange(50), labels(study, module)] -= 1
    for name, table in tables.items():
        expected = float(by_hand(name, z, g, dz).mean())
        assert table.values[0][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["gradient", "fisher"])
def test_slopes_of_a_group_add_up_before_sign_or_square(models, name):
    model, args = models.caught("chain"), models.inputs_of("chain", 6)
    tied, (scheme,) = ("layers.0", "layers.2"), models.weights_only(3)
    study = models.study_of(model, (scheme,), [args], tie=(tied,))
    _, ledger = models.measure(ReplayEngine(), PLAIN[name], study)
    exact = outputs_and_gradients(model.module, args, tied, labels(study, model.module))
    slope = sum((exact[each][1] * change(models, model.module, each, scheme, args)).sum(1)
                for each in tied)
    expected = slope.abs() if name == "gradient" else slope**2 / 2
    torch.testing.assert_close(torch.tensor(ledger.units["0/layers.0"][0], dtype=torch.float64),
                               expected, rtol=1e-3, atol=1e-9)


def gauss_newton_diagonal(module, args, name):
    """The diagonal of ``Jᵀ (diag(p) - p pᵀ) J`` at the output of *name*, for each sample."""
    weights = dict(module.named_parameters()) | dict(module.named_buffers())
    shape = outputs_and_gradients(module, args, [name], torch.zeros(len(args[0]), dtype=torch.long)
                                  )[name][0].shape[1:]

    def logits(shift, x):
        handle = module.get_submodule(name).register_forward_hook(
            lambda _layer, _args, output: output + shift)
        try:
            return functional_call(module, weights, (x[None],))[0]
        finally:
            handle.remove()

    jacobian = vmap(jacrev(logits), (None, 0))(torch.zeros(shape), args[0])
    p = module(*args).softmax(-1)
    mixed = torch.einsum("nc,nc...->n...", p, jacobian)
    return torch.einsum("nc,nc...->n...", p, jacobian**2) - mixed**2


@pytest.mark.parametrize("network", ["chain", "attention"])
def test_many_draws_give_the_exact_gauss_newton_diagonal(models, setting, network):
    (scheme,) = schemes = models.weights_only(3)
    module, args, _, names = setting(network, 2, schemes)
    many = (args[0].repeat_interleave(60, 0),)
    study = models.study_of(models.caught(network), schemes, [many])
    table, _ = models.measure(ReplayEngine(), GaussNewton(draws=40, factored=False), study)
    found = dict(zip(table.groups, table.values, strict=True))
    for name in names:
        h = gauss_newton_diagonal(module, args, name)
        dz = change(models, module, name, scheme, args)
        expected = float((h * dz**2).flatten(1).sum(1).mean() / 2)
        assert found[name][0] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("network", ["chain", "attention", "residual", "language"])
def test_one_draw_that_is_not_factored_is_the_fisher_diagonal(models, network):
    study = models.study_of(models.caught(network), models.weights_only(3),
                            [models.inputs_of(network, n, n) for n in (3, 2)])
    tables, _ = models.measure_all(ReplayEngine(), {
        "fisher_diag": FisherDiag(), "it": GaussNewton(factored=False)}, study)
    assert tables["it"].values == tables["fisher_diag"].values


def test_factored_squares_are_products_of_sums_by_hand(models, setting):
    (scheme,) = schemes = models.weights_only(3)
    module, args, study, names = setting("attention", 3, schemes)
    _, ledger = models.measure(ReplayEngine(), GaussNewton(draws=2), study)
    drawn = [outputs_and_gradients(module, args, names, labels(study, module, draw, 2))
             for draw in range(2)]
    for name in names:
        squares = sum(each[name][1]**2 for each in drawn) / 2
        if squares.dim() == 3:  # tokens and channels
            for sample in squares:
                sample.copy_(torch.outer(sample.sum(1), sample.sum(0)) / sample.sum())
        dz = change(models, module, name, scheme, args)
        torch.testing.assert_close(
            torch.tensor(ledger.units[f"0/{name}"][0], dtype=torch.float64),
            (squares * dz**2).flatten(1).sum(1) / 2, rtol=1e-3, atol=1e-9)


def test_settings_of_one_kind_keep_their_own_squares(models):
    study = models.study_of(models.caught("attention"), models.weights_only(3),
                            [models.inputs_of("attention", 3)])
    settings = {f"{draws} {factored}": GaussNewton(draws=draws, factored=factored)
                for draws in (1, 3) for factored in (False, True)}
    together, _ = models.measure_all(ReplayEngine(), settings, study)
    for name, estimator in settings.items():
        alone, _ = models.measure(ReplayEngine(), estimator, study)
        # in one pass more labels are drawn, and the first ones of a sample stay the same
        assert alone.values == together[name].values
