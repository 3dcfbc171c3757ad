"""From a space with sub-networks to a policy that leaves parts of a network out, and back."""

from dataclasses import replace

import pytest
import torch

from mpsearch import api
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.formats import IntFormat
from mpsearch.core.types import Policy
from mpsearch.steps.choice import uniform_choices

SPACE = """
[[rule]]
weight = { bits = [4, 8] }
[[subnet]]
skip = true
heads = [0.25, 0.5]
mlp = [0.25, 0.5]
"""
FEW = {"calibration_samples": 16, "evaluation_samples": 16, "batch_size": 8,
       "calibration_policies": 0}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def net(models):
    """A block whose MLP hardly matters, and half of whose heads do nothing."""
    torch.manual_seed(3)
    module = models.PreNorm()
    with torch.no_grad():
        module.fc2.weight *= 1e-3
        module.fc2.bias *= 0
        module.proj.weight[:, :8] = 0
        module.proj.weight *= 4
    return module.eval()


@pytest.fixture(scope="module")
def batches():
    drawn = torch.Generator().manual_seed(3)
    return [(torch.randn(8, 5, 8, generator=drawn),) for _ in range(6)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subnet")
    (folder / "space.toml").write_text(SPACE)
    return folder


@pytest.fixture(scope="module")
def options(batches, place):
    return {"data": batches, "workspace": str(place / "workspace"),
            "space": str(place / "space.toml")}


@pytest.fixture(scope="module")
def result(net, options):
    return api.allocate("4bpw", net, **options, **FEW, keep=True)


def test_the_allocator_leaves_out_what_does_nothing(result):
    layers = result.policy.layers
    assert str(layers["fc1"]) == str(layers["fc2"]) == "skip"
    assert [layers[name].keep.kept for name in ("qkv", "proj")] == [(2, 3), (2, 3)]
    assert layers["head"].keep is None
    assert layers["qkv"].weight.bits == 8, "the bits of what stays are as many as there can be"
    assert result.policy.totals.bits_per_weight < 4


def test_what_is_left_out_is_not_stored(result, net):
    left = {"qkv": (24, 8), "proj": (8, 8), "head": (3, 8)}
    assert result.policy.totals.size_bits == sum(
        IntFormat(bits=8).stored_bits(shape) for shape in left.values())
    assert result.policy.totals.weights == sum(
        layer.weight.numel() for layer in (net.qkv, net.proj, net.fc1, net.fc2, net.head))


def test_uniform_policies_are_of_the_whole_network(result):
    space = result.allocation.measured.record.space
    found = uniform_choices(space)
    assert set(found) == {"uniform W4", "uniform W8"}
    assert all(group.schemes[k].keep is None for choice in found.values()
               for group, k in zip(space.groups, choice, strict=True))


def test_a_saved_policy_runs_as_it_was_measured(result, net, options, tmp_path, batches):
    result.policy.save(str(tmp_path / "policy.json"))
    loaded = Policy.load(str(tmp_path / "policy.json"))
    assert loaded == result.policy
    module = api.apply(loaded, net, example=batches[0])
    x = batches[1][0]
    with torch.no_grad():
        attended = x + net.attend(net.norm1(x))
        assert torch.allclose(module(x), net.head(attended.mean(1)), atol=0.1)
    again = api.evaluate(loaded, net, **options, evaluation_samples=16, batch_size=8)
    assert again.kl == pytest.approx(result.policy.evaluation.kl, rel=1e-5)


def test_the_same_request_gives_the_same_policy(result, net, options, tmp_path):
    fresh = {**options, "workspace": str(tmp_path / "other")}
    assert api.allocate("4bpw", net, **fresh, **FEW, keep=True).policy == result.policy


def test_layers_of_a_branch_must_agree(result, net, batches):
    layers = {**result.policy.layers, "fc1": replace(result.policy.layers["fc1"], keep=None)}
    name = result.policy.layers["fc2"].keep.branch
    with pytest.raises(BadInput, match=f"different parts of '{name}'"):
        api.apply(replace(result.policy, layers=layers), net, example=batches[0])


def test_a_file_of_whole_weights_is_refused(result, net, batches, tmp_path):
    with pytest.raises(Unsupported, match="a packed file holds whole weights"):
        api.pack(result.policy, str(tmp_path / "model.safetensors"), net, example=batches[0])
    assert not (tmp_path / "model.safetensors").exists()


def test_estimators_of_single_layers_are_refused(net, options):
    with pytest.raises(BadInput, match="fisher scores layers one by one"):
        api.measure(net, estimators=["fisher"], **options)


def test_ranking_by_data_needs_data(net, options):
    with pytest.raises(BadInput, match="needs data"):
        api.measure(net, **{**options, "data": None})
