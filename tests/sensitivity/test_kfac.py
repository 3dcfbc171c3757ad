"""The Kronecker-factored trace in closed form, and the rows that its moments are made of."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mpsearch.graph.samples import SampleAxis
from mpsearch.sensitivity import moments
from mpsearch.sensitivity.fisher import Fisher
from mpsearch.sensitivity.kfac import Kfac
from mpsearch.sensitivity.replay import ReplayEngine
from mpsearch.sensitivity.second_moments import MomentsEngine


class Tokens(nn.Module):
    """A layer on each of several tokens, and a prediction from their mean."""

    def __init__(self):
        super().__init__()
        self.inside, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(F.gelu(self.inside(x)).mean(1))


def drawn(study, module):
    """For every batch the labels at which the cumulative chances pass the study's numbers."""
    return [(module(*batch.args).double().softmax(-1).cumsum(-1)
             <= study.uniforms(number, 1)).sum(-1) for number, batch in enumerate(study.batches)]


def caught_at(module, name, study):
    """All positions' inputs and gradients of the layer *name*: [positions, terms or outputs]."""
    module = module.requires_grad_(True)
    inputs, gradients = [], []
    for batch, labels in zip(study.batches, drawn(study, module), strict=True):
        seen = {}
        handle = module.get_submodule(name).register_forward_hook(
            lambda _layer, args, output, seen=seen: seen.update(x=args[0], z=output))
        loss = -module(*batch.args).log_softmax(-1).gather(1, labels[:, None]).sum()
        handle.remove()
        (g,) = torch.autograd.grad(loss, [seen["z"]])
        inputs.append(seen["x"].detach())
        gradients.append(g)
    module.requires_grad_(False)
    return torch.cat(inputs), torch.cat(gradients)


def error_of(models, module, name, scheme):
    changed = models.quantized_copy(module, {name: scheme}).get_submodule(name)
    return (changed.weight - module.get_submodule(name).weight).double().detach()


def closed_form(dw, x, g, positions):
    x, g = (each.reshape(-1, each.shape[-1]).double() for each in (x, g))
    a, g = x.T @ x / len(x), g.T @ g / len(g)
    return float(torch.trace(dw @ a @ dw.T @ g)) * positions / 2


def study_of(models, module, batches, widths=(2, 4)):
    return models.study_of(models.catch(module, batches[0]), models.weights_only(*widths), batches)


def measured(models, study):
    table, _ = models.measure(MomentsEngine(), Kfac(), study)
    return dict(zip(table.groups, table.values, strict=True))


@pytest.mark.parametrize(("make", "batches", "positions"), [
    (lambda models: models.Chain(), "vectors", {"layers.0": 1, "layers.1": 1, "layers.2": 1}),
    (lambda _models: Tokens(), "tokens", {"inside": 7, "head": 1}),
])
def test_it_is_the_closed_form_on_linear_layers(models, make, batches, positions):
    torch.manual_seed(0)
    module = make(models).eval()
    batches = {"vectors": [(torch.randn(n, 6),) for n in (4, 3)],
               "tokens": [(torch.randn(n, 7, 4),) for n in (4, 3)]}[batches]
    study = study_of(models, module, batches)
    found = measured(models, study)
    for name, per_sample in positions.items():
        x, g = caught_at(module, name, study)
        for scheme, value in zip(study.groups[name].schemes, found[name], strict=True):
            expected = closed_form(error_of(models, module, name, scheme), x, g, per_sample)
            assert value == pytest.approx(expected, rel=1e-4)
            assert value > 0


def test_on_a_single_sample_of_a_single_position_it_is_the_fisher_score(models):
    study = models.study_of(models.caught("chain"), models.weights_only(2, 4),
                            [models.inputs_of("chain", 1)])
    fisher, _ = models.measure(ReplayEngine(), Fisher(), study)
    for group, row in measured(models, study).items():
        assert row == pytest.approx(fisher.values[fisher.groups.index(group)], rel=1e-4)


def test_very_wide_outputs_keep_the_diagonal_of_their_gradients(models, monkeypatch):
    monkeypatch.setattr(moments, "_WIDE", 4)
    torch.manual_seed(0)
    module = Tokens().eval()
    study = study_of(models, module, [(torch.randn(5, 7, 4),)])
    x, g = (each.double() for each in caught_at(module, "inside", study))
    a, squares = torch.einsum("npi,npj->ij", x, x) / 35, g.square().mean((0, 1))
    dw = error_of(models, module, "inside", study.groups["inside"].schemes[0])
    expected = float((torch.einsum("oi,ij,oj->o", dw, a, dw) * squares).sum()) * 7 / 2
    assert measured(models, study)["inside"][0] == pytest.approx(expected, rel=1e-4)
    assert measured(models, study)["inside"][0] != pytest.approx(
        closed_form(dw, x, g, 7), rel=1e-3)


def test_an_embedding_weighs_the_error_of_each_row_by_how_often_it_is_read(models):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(6, 4), nn.Flatten(), nn.Linear(12, 3)).eval()
    ids = torch.tensor([[0, 1, 1], [2, 1, 0], [1, 1, 4]])
    study = study_of(models, module, [(ids[:2],), (ids[2:],)])
    _, g = caught_at(module, "0", study)
    g = g.reshape(-1, 4).double()
    g = g.T @ g / 9
    scheme = study.groups["0"].schemes[0]
    dw = error_of(models, module, "0", scheme)
    expected = sum(float(dw[i] @ g @ dw[i]) for i in ids.flatten()) / 9 * 3 / 2
    assert measured(models, study)["0"][0] == pytest.approx(expected, rel=1e-4)


def test_a_tied_table_and_head_add_up(models):
    model, args = models.caught("language"), models.inputs_of("language", 4)
    apart = measured(models, models.study_of(model, models.weights_only(3), [args]))
    tied = measured(models, models.study_of(model, models.weights_only(3), [args],
                                            tie=(("tokens", "head"),)))
    assert min(apart["tokens"][0], apart["head"][0]) > 0
    assert tied["tokens"][0] == pytest.approx(apart["tokens"][0] + apart["head"][0], rel=1e-6)


@pytest.mark.parametrize("network", ["branch", "residual", "language"])
def test_batches_may_be_cut_in_any_way(models, network):
    args = models.inputs_of(network, 5)
    found = []
    for sizes in ((3, 2), (1, 3, 1)):
        batches = list(zip(*(arg.split(sizes) for arg in args), strict=True))
        found.append(measured(models, models.study_of(
            models.caught(network), models.weights_only(3), batches)))
    # what all samples share has one gradient a batch: the same in expectation only
    groups = set(found[0]) - {"places"}
    for other in found[1:]:
        for group in groups:
            row = found[0][group]
            assert other[group] == pytest.approx(row, rel=1e-3)


CONVOLUTIONS = {
    "plain": (nn.Conv2d(4, 6, 3), (5, 6)),
    "stride": (nn.Conv2d(4, 6, 3, stride=2, padding=1), (7, 6)),
    "uneven": (nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=(2, 1)), (6, 5)),
    "dilation": (nn.Conv2d(4, 6, 3, dilation=(2, 1), padding=(0, 2)), (7, 6)),
    "groups": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (5, 5)),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4, padding=1), (5, 5)),
    "multiplier": (nn.Conv2d(4, 8, (1, 3), groups=4), (5, 5)),
    "same": (nn.Conv2d(4, 6, (3, 4), padding="same", dilation=(1, 2)), (6, 9)),
    "valid": (nn.Conv2d(4, 6, 3, padding="valid"), (6, 5)),
    "many": (nn.Conv2d(4, 6, 3, padding=1), (20, 18)),
    "conv1d": (nn.Conv1d(4, 6, 4, stride=3, padding=2, dilation=2), (17,)),
    "conv1d same": (nn.Conv1d(4, 6, 4, padding="same", groups=2), (12,)),
    "conv3d": (nn.Conv3d(4, 6, (2, 3, 1), stride=(1, 2, 1), padding=(1, 0, 1)), (3, 5, 4)),
}


@pytest.fixture(params=CONVOLUTIONS)
def patches(models, request):
    """A convolution, its input and output, and the rows taken from its input."""
    layer, size = CONVOLUTIONS[request.param]
    torch.manual_seed(0)
    x = torch.randn(3, 4, *size)
    model = models.catch(nn.Sequential(layer), (x,))
    (site,) = model.program.sites.values()
    rows, positions = moments.input_rows(site.calls[0], site, (x,), 3)
    return layer, x, layer(x).detach(), rows, positions, site


def test_rows_times_the_weight_are_the_convolutions_output(patches):
    layer, _, z, rows, positions, site = patches
    assert positions == z.shape[0] * z[0, 0].numel()
    weight = layer.weight.reshape(layer.groups, -1, rows.shape[2])
    made = torch.einsum("gsi,goi->sgo", rows, weight).flatten(1) + layer.bias
    step = positions // 3 * 3 // rows.shape[1]
    assert rows.shape[1] * step == positions
    taken = z.flatten(2)[..., ::step].transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(made, taken, rtol=1e-4, atol=1e-5)
    # gradients have the shape of the output, and must be taken at the same positions
    torch.testing.assert_close(moments.gradient_rows(site.calls[0], z, 3), taken)


def test_rows_are_what_unfold_gives(patches):
    layer, x, _, rows, _, _ = patches
    if not isinstance(layer, nn.Conv2d) or isinstance(layer.padding, str):
        pytest.skip("unfold knows two dimensions and numbers as padding")
    columns = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    step = columns.shape[2] * 3 // rows.shape[1]
    columns = columns[..., ::step].transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(rows.transpose(0, 1).flatten(1), columns)


@pytest.mark.parametrize("axis", [SampleAxis(dim=0), SampleAxis(dim=0, run=2),
                                  SampleAxis(dim=1), SampleAxis(dim=1, run=4)])
def test_the_first_samples_are_those_that_a_split_has_first(axis):
    samples = 3
    values = torch.arange(12 * 12 * 5).reshape(12, 12, 5)
    first = axis.first(values, samples, 2)
    assert torch.equal(axis.split(first, 2), axis.split(values, samples)[:2])
    assert torch.equal(axis.first(values, samples, samples), values)


@pytest.mark.parametrize(("count", "taken"), [(1, 1), (64, 64), (127, 127), (128, 64), (196, 98),
                                              (360, 72), (131, 131)])
def test_positions_are_taken_evenly_and_alike_from_all_samples(models, count, taken):
    model = models.catch(nn.Sequential(nn.Linear(2, 3)), (torch.randn(3, count, 2),))
    (site,) = model.program.sites.values()
    x = torch.arange(3 * count * 2, dtype=torch.float32).reshape(3, count, 2)
    rows, positions = moments.input_rows(site.calls[0], site, (x,), 3)
    assert positions == 3 * count
    torch.testing.assert_close(rows[0], x[:, ::count // taken].flatten(0, 1))
    torch.testing.assert_close(moments.gradient_rows(site.calls[0], x, 3), rows[0])
