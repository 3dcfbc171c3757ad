"""A layer that is skipped: the network runs without it, by surgery on the module itself."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mpsearch.core.types import Scheme
from mpsearch.sensitivity.probe import ProbeEngine
from mpsearch.sensitivity.skip import Skip


class Passing(nn.Module):
    """Keeps the bias of a layer, and passes its input on where *centre* says how."""

    def __init__(self, layer, centre=None):
        super().__init__()
        self.layer, self.centre = layer, centre

    def forward(self, x):
        z = self.layer(x)
        channels = (1, -1) + (1,) * (z.dim() - 2)
        bias = torch.zeros(1) if self.layer.bias is None else self.layer.bias
        if isinstance(self.layer, nn.Linear):
            return (0 if self.centre is None else x) + bias.expand_as(z)
        bias = bias.view(channels).expand_as(z)
        return bias if self.centre is None else self.centre(x) + bias


class Convolutions(nn.Module):
    """Convolutions of every kind, with padding and without."""

    def __init__(self):
        super().__init__()
        self.wider = nn.Conv2d(3, 4, 3, padding=1)
        self.full = nn.Conv2d(4, 4, 3, padding=1)
        self.groups = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
        self.depthwise = nn.Conv2d(4, 4, 5, padding=2, groups=4)
        self.inside = nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        for layer in (self.wider, self.full, self.groups, self.depthwise, self.inside):
            x = F.gelu(layer(x))
        return self.head(x.mean((2, 3)))


class Square(nn.Module):
    """Two square linear layers on tokens, one that narrows, and a head."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6, bias=False)
        self.narrow, self.head = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        x = F.gelu(self.two(F.gelu(self.one(x))))
        return self.head(F.gelu(self.narrow(x)).mean(1))


NETWORKS = {
    "linear": (Square, (4, 5, 6), {"one": "same", "two": "same", "narrow": None, "head": None}),
    "convolutions": (Convolutions, (4, 3, 8, 8), {
        "wider": None, "full": "same", "groups": "same", "depthwise": "same", "inside": "crop",
        "head": None}),
}
CENTRES = {"same": lambda x: x, "crop": lambda x: x[..., 1:-1, 1:-1], None: None}


def divergence(module, changed, args):
    p, q = (each(*args).double().log_softmax(-1) for each in (module, changed))
    return (p.exp() * (p - q)).sum(-1)


def noise(models, module, name, scheme, args):
    """Noise over signal of every sample at the output of the layer *name*."""
    seen = {}
    handle = module.get_submodule(name).register_forward_hook(
        lambda _layer, args, output: seen.update(x=args[0], z=output))
    module(*args)
    handle.remove()
    dz = models.quantized_copy(module, {name: scheme}).get_submodule(name)(seen["x"]) - seen["z"]
    return dz.double().square().flatten(1).sum(1) / seen["z"].double().square().flatten(1).sum(1)


@pytest.mark.parametrize("network", NETWORKS)
def test_relevance_is_what_the_network_loses_without_the_layer(models, network):
    make, shape, ways = NETWORKS[network]
    torch.manual_seed(0)
    module, args = make().eval(), (torch.randn(shape),)
    model = models.catch(module, args)
    study = models.study_of(model, (*models.weights_only(2, 4), Scheme()), [args])
    table, ledger = models.measure(ProbeEngine(), Skip(), study)
    assert set(table.groups) == set(ways)
    for name, way in ways.items():
        without = deepcopy(module)
        setattr(without, name, Passing(getattr(without, name), CENTRES[way]))
        relevance = divergence(module, without, args)
        for k, scheme in enumerate(study.groups[name].schemes):
            expected = relevance * noise(models, module, name, scheme, args)
            torch.testing.assert_close(
                torch.tensor(ledger.units[f"0/{name}"][k], dtype=torch.float64), expected,
                rtol=1e-3, atol=1e-9)
            assert bool((expected == 0).all()) == scheme.is_float


@pytest.mark.parametrize(("product", "attend"), [
    (0, lambda q, k, v: torch.zeros_like(q @ k.transpose(-2, -1)).softmax(-1) @ v),
    (1, lambda q, k, v: torch.zeros_like(q @ k.transpose(-2, -1) @ v)),
])
@pytest.mark.parametrize("kind", ["attention", "sdpa"])
def test_a_product_of_activations_loses_its_first_factor(models, kind, product, attend):
    model, args = models.caught(kind), models.inputs_of(kind, 4)
    fmt = models.int_format(4, "token")
    study = models.study_of(model, (Scheme(input=fmt), Scheme(input=fmt, other=fmt)), [args])
    products = [group.name for group in study.order
                if study.space.layer(group.name).kind == "matmul"]
    without = deepcopy(model.module)
    without.attend = attend
    relevance = divergence(model.module, without, args)
    rows = torch.tensor(models.measure(ProbeEngine(), Skip(), study)[1].units[
        f"0/{products[product]}"], dtype=torch.float64)
    ratio = rows / relevance  # the noise of each scheme: of a plausible size, more with two
    assert 1e-5 < float(ratio.min()) < float(ratio.max()) < 0.1
    assert float(ratio[1].mean()) > float(ratio[0].mean())


def test_layers_of_a_group_are_skipped_together_and_their_noise_adds_up(models):
    torch.manual_seed(0)
    module, args = Square().eval(), (torch.randn(4, 5, 6),)
    (scheme,) = schemes = models.weights_only(3)
    study = models.study_of(models.catch(module, args), schemes, [args], tie=(("one", "two"),))
    table, _ = models.measure(ProbeEngine(), Skip(), study)
    without = deepcopy(module)
    without.one, without.two = (Passing(each, CENTRES["same"]) for each in (module.one, module.two))
    spread = sum(noise(models, module, name, scheme, args) for name in ("one", "two"))
    expected = float((divergence(module, without, args) * spread).mean())
    assert table.values[table.groups.index("one")][0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("network", ["branch", "tokens_first", "twice"])
def test_batches_may_be_cut_in_any_way(models, network):
    (x,) = models.inputs_of(network, 5)
    one, other = (models.measure(ProbeEngine(), Skip(), models.study_of(
        models.caught(network), models.weights_only(3), [(part,) for part in x.split(sizes)]))[0]
        for sizes in ((3, 2), (1, 3, 1)))
    for found, expected in zip(one.values, other.values, strict=True):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-9)
