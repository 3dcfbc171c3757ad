"""A captured graph computes what the model computes, for any number of samples, or says so."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.graph.execute import Program
from mpsearch.graph.trace import first_tensor, trace

CAPTURED_FOR_ANY_BATCH = (
    "chain", "residual", "dense", "attention", "masked", "sdpa", "sdpa_mask", "sdpa_bool",
    "sdpa_causal", "sdpa_scale", "sdpa_gqa", "mha", "mha_weights", "tokens_first", "windows",
    "language", "language_function", "language_product", "stored", "autoencoder", "twice", "left",
    "writes", "all_star", "some_star", "positions", "maps",
)


class Applies(nn.Module):
    """A linear layer, then whatever a function makes of it."""

    def __init__(self, after):
        super().__init__()
        self.linear, self.after = nn.Linear(6, 3), after

    def forward(self, x):
        return self.after(self.linear(x))


@pytest.fixture
def traced():
    """Trace a linear layer followed by a function."""
    def make(after, samples=2):
        torch.manual_seed(0)
        return trace(Applies(after).eval().requires_grad_(False), (torch.randn(samples, 6),))
    return make


@pytest.mark.parametrize("name", CAPTURED_FOR_ANY_BATCH)
def test_it_equals_the_model_for_any_number_of_samples(models, name):
    model = models.caught(name)
    assert model.traced.batch is None
    assert model.traced.notes == ()
    for samples in (1, 2, 5):
        args = models.inputs_of(name, samples, seed=samples)
        with torch.no_grad():
            expected = first_tensor(model.module(*args))
        found = model.program.run(args)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected)


def test_one_sample_is_enough_to_capture_any_number():
    module = nn.Linear(6, 3).eval()
    traced = trace(module, (torch.randn(1, 6),))
    x = torch.randn(4, 6)
    assert traced.batch is None
    torch.testing.assert_close(Program(traced).run((x,)), module(x))


def test_a_tensor_with_two_names_is_one_node_that_knows_both(models):
    traced = models.caught("language").traced
    names = [names for names in traced.parameters.values() if "tokens.weight" in names]
    assert names == [("tokens.weight", "head.weight")]


def test_the_digraph_names_modules_and_operations(models):
    graph = models.caught("residual").traced.graph
    of_conv1 = [name for name, data in graph.nodes(data=True)
                if data["target"] == "aten.conv2d.default" and data["module"] == "conv1"]
    assert len(of_conv1) == 1
    (after,) = graph.successors(of_conv1[0])
    assert graph.nodes[after]["module"] == "norm1"
    assert graph.nodes[of_conv1[0]]["shape"][1:] == (4, 6, 6)


@pytest.mark.parametrize("after", [
    lambda y: F.dropout(y, 0.5, training=True),
    lambda y: y + torch.rand(3),
])
def test_a_random_model_is_refused(traced, after):
    with pytest.raises(Unsupported, match="not a function of its inputs"):
        traced(after)


@pytest.mark.parametrize("after", [
    lambda y: -y if y.shape[0] > 4 else y,
    lambda y: -y if y.shape[0] % 2 else y,
    lambda y: y.unflatten(0, (-1, 2)).flip(1).flatten(0, 1),
])
def test_a_model_that_branches_on_the_batch_size_keeps_the_one_it_was_captured_with(traced, after):
    found = traced(after, samples=4)
    assert found.batch == 4
    assert "batches of 4" in found.notes[0]


def test_a_model_that_does_not_run_is_the_users_business(traced):
    with pytest.raises(BadInput, match=r"does not run on the data \(inputs of shape \(2, 6\)\)"):
        traced(lambda y: y @ torch.ones(7))


def test_a_model_without_numbers_to_measure_is_refused(traced):
    with pytest.raises(BadInput, match="no floating-point tensor"):
        traced(lambda y: y.argmax(-1))


@pytest.mark.parametrize("name", ["writes", "branch", "language"])
def test_the_model_is_left_as_it_was(models, name):
    module, inputs = models.build(name)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    program = Program(trace(module, inputs(3)))
    program.run(inputs(2))
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_the_first_floating_point_tensor_is_the_output():
    wanted = torch.ones(2)
    assert first_tensor({"ids": torch.arange(3), "out": [(wanted, torch.zeros(2))]}) is wanted
