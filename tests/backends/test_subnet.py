"""A policy that skips or narrows branches computes what the smaller network does."""

from functools import partial

import pytest
import torch
from torch import nn

from mpsearch.backends.integer.backend import Integer
from mpsearch.backends.integer_only.backend import IntegerOnly
from mpsearch.backends.simulated import Simulated
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.formats import IntFormat
from mpsearch.core.keep import Keep
from mpsearch.core.types import Scheme

pytestmark = pytest.mark.usefixtures("one_thread")
TOKEN = IntFormat(bits=4, granularity="token", symmetric=True, scale="absmax")
FORMATS = [{}, {"weight": IntFormat(bits=3)},
           {"weight": IntFormat(bits=4, granularity="group:4"), "input": TOKEN},
           {"weight": IntFormat(bits=3, granularity="tensor"), "input": TOKEN}]


def smaller(models, block, heads, hidden):
    """The network with these heads and hidden units alone."""
    made = models.PreNorm(len(heads), len(hidden)).eval().requires_grad_(False)
    made.load_state_dict({
        name: value for name, value in block.state_dict().items()
        if not name.startswith(("qkv", "proj", "fc"))}, strict=False)
    rows = [part * 16 + head * 4 + i for part in range(3) for head in heads for i in range(4)]
    columns = [head * 4 + i for head in heads for i in range(4)]
    made.qkv.weight, made.qkv.bias = (nn.Parameter(each[rows]) for each in (
        block.qkv.weight, block.qkv.bias))
    made.proj.weight = nn.Parameter(block.proj.weight[:, columns])
    made.fc1.weight, made.fc1.bias = (nn.Parameter(each[list(hidden)]) for each in (
        block.fc1.weight, block.fc1.bias))
    made.fc2.weight = nn.Parameter(block.fc2.weight[:, list(hidden)])
    made.proj.bias, made.fc2.bias = block.proj.bias, block.fc2.bias
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def caught(models):
    torch.manual_seed(0)
    return models.catch(models.PreNorm(), (torch.randn(3, 5, 8),))


def branches(caught):
    return {branch.name: branch for branch in caught.layers.branches}


def run(caught, schemes, inputs):
    every = {spec.name: schemes.get(spec.name, Scheme()) for spec in caught.layers.specs}
    return Simulated()(caught.program, caught.fake, every, {})(inputs)


def kept(caught, layer, units):
    branch = caught.layers.branch(layer)
    count = branch.narrowing.units if branch.narrowing else 1
    return Keep.of(branch.name, count, units)


def test_the_branches_of_a_block_are_found_with_their_units(caught):
    found = branches(caught)
    assert [(branch.layers[-1], branch.narrowing.kind, branch.narrowing.units)
            for branch in found.values()] == [("proj", "heads", 4), ("fc2", "mlp", 12)]
    attention = next(iter(found.values())).narrowing
    assert attention.rows["qkv"] == tuple(i // 4 for _ in range(3) for i in range(16))
    assert attention.columns["proj"] == tuple(i // 4 for i in range(16))


@pytest.mark.parametrize("formats", FORMATS)
def test_kept_units_compute_what_the_smaller_network_does(caught, models, formats):
    inputs = torch.randn(4, 5, 8)
    hidden = (1, 2, 3, 5, 7, 8, 10, 11)
    small = models.catch(smaller(models, caught.module, (0, 2, 3), hidden), (inputs,))
    keeps = {name: kept(caught, name, (0, 2, 3)) for name in ("qkv", "proj")} | {
        name: kept(caught, name, hidden) for name in ("fc1", "fc2")}
    expected = run(small, {name: Scheme(**formats) for name in keeps}, inputs)
    found = run(caught, {name: Scheme(**formats, keep=keep) for name, keep in keeps.items()},
                inputs)
    assert torch.allclose(found, expected, atol=1e-6)
    whole = run(caught, {name: Scheme(**formats) for name in keeps}, inputs)
    assert not torch.allclose(found, whole, atol=1e-3)


@pytest.mark.parametrize("formats", FORMATS[1:])
def test_integers_of_kept_units_are_those_of_the_smaller_network(caught, models, formats):
    inputs, hidden = torch.randn(4, 5, 8), (0, 1, 2, 5, 8, 9, 10, 11)
    small = models.catch(smaller(models, caught.module, (1, 2), hidden), (inputs,))
    keeps = {name: kept(caught, name, (1, 2)) for name in ("qkv", "proj")} | {
        name: kept(caught, name, hidden) for name in ("fc1", "fc2")}
    expected = Integer()(small.program, small.fake, {
        name: Scheme(**formats) for name in keeps}, {})
    found = Integer()(caught.program, caught.fake, {
        name: Scheme(**formats, keep=keep) for name, keep in keeps.items()}, {})
    assert found.in_integers == expected.in_integers
    assert len(found.in_integers) == (4 if "input" in formats else 0)
    same = torch.equal if "input" in formats else partial(torch.allclose, atol=1e-6)
    assert same(found(inputs), expected(inputs))


@pytest.mark.parametrize("layers", [("qkv", "proj"), ("fc1", "fc2")])
def test_a_skipped_branch_adds_nothing(caught, layers):
    inputs = torch.randn(4, 5, 8)
    scheme = {name: Scheme(weight=IntFormat(bits=2), keep=kept(caught, name, ()))
              for name in layers}
    module = caught.module
    x = inputs if "qkv" in layers else inputs + module.attend(module.norm1(inputs))
    if "fc1" not in layers:
        x = x + module.fc2(nn.functional.gelu(module.fc1(module.norm2(x))))
    assert torch.allclose(run(caught, scheme, inputs), module.head(x.mean(1)), atol=1e-6)
    integers = Integer()(caught.program, caught.fake, scheme, {})
    assert torch.equal(integers(inputs), run(caught, scheme, inputs))


def test_a_branch_that_ends_in_a_norm_is_skipped_with_its_offset(models):
    caught = models.caught("residual")
    (inputs,) = models.inputs_of("residual", 2)
    module = caught.module
    x = nn.functional.relu(module.stem(inputs))
    x = module.norm2(module.conv3(nn.functional.relu(x))) + module.down(nn.functional.relu(x))
    expected = module.head(nn.functional.relu(x).mean((2, 3)))
    scheme = {name: Scheme(keep=Keep.of("conv1", 1, ())) for name in ("conv1", "conv2")}
    assert torch.allclose(run(caught, scheme, inputs), expected, atol=1e-6)


@pytest.mark.parametrize(("name", "units"), [
    ("attention", 2), ("masked", 2), ("sdpa_causal", 2), ("sdpa_gqa", None), ("mha_weights", ...)])
def test_heads_are_found_only_where_they_can_be_told_apart(models, name, units):
    found = [branch.narrowing and branch.narrowing.units
             for branch in models.caught(name).layers.branches]
    assert found == ([] if units is ... else [units])


def test_units_of_a_weight_that_is_used_twice_stay(models):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(x + self.inner(torch.relu(self.inner(x))))

    (branch,) = models.catch(Twice(), (torch.randn(3, 8),)).layers.branches
    assert (branch.layers, branch.narrowing) == (("inner",), None)


def test_hidden_units_that_a_norm_mixes_stay(models):
    caught = models.catch(models.PreNorm(mlp_norm=True), (torch.randn(3, 5, 8),))
    assert [branch.narrowing is None for branch in caught.layers.branches] == [False, True]


def test_a_policy_for_another_branch_or_size_is_refused(caught):
    with pytest.raises(BadInput, match="'fc1' is not in a residual branch 'qkv'"):
        run(caught, {"fc1": Scheme(keep=kept(caught, "qkv", ()))}, torch.randn(2, 5, 8))
    name = caught.layers.branch("fc1").name
    with pytest.raises(BadInput, match="has 12 units, not 8"):
        run(caught, {"fc1": Scheme(keep=Keep.of(name, 8, (1,)))}, torch.randn(2, 5, 8))


@pytest.mark.parametrize("backend", [IntegerOnly(), Simulated(exact=True)])
def test_backends_that_need_the_whole_network_say_so(caught, backend):
    schemes = {"fc1": Scheme(keep=kept(caught, "fc1", ()))}
    with pytest.raises(Unsupported, match=r"layer 'fc1'.*use the simulated backend"):
        backend(caught.program, caught.fake, schemes, {})
