"""Models that torch.export cannot capture are recorded as they run once."""

import pytest
import torch
from torch import nn

from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.graph.execute import Program
from mpsearch.graph.trace import trace


def data_dependent(forward):
    """A module around *forward* (of a linear layer and x) that export cannot see through."""
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            if x.sum() < -1e9:
                return x
            return forward(self.linear, x)

    torch.manual_seed(0)
    return Model().eval().requires_grad_(False)


def test_the_user_is_told(models):
    traced = models.caught("branch").traced
    assert traced.batch == 3
    (note,) = traced.notes
    assert "torch.export could not capture" in note
    assert "control flow and batch size (3)" in note


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_smaller_batches_are_padded_and_cut_again(models, samples):
    model = models.caught("branch")
    x = models.inputs_of("branch", 3, seed=7)[0][:samples]
    with torch.no_grad():
        torch.testing.assert_close(model.program.run((x,)), model.module(x))


def test_larger_batches_are_refused(models):
    with pytest.raises(BadInput, match="captured for batches of 3 and got 4"):
        models.caught("branch").program.run(models.inputs_of("branch", 4))


def test_nothing_is_done_in_place_and_no_mode_is_switched(models):
    traced = models.caught("branch").traced
    targets = {str(node.target) for node in traced.program.graph.nodes
               if node.op == "call_function"}
    assert {"aten.add.Tensor", "aten.relu.default", "aten.mul.Tensor"} <= targets
    assert not {target for target in targets if "_." in target or "grad" in target}


def test_values_that_the_model_overwrites_can_be_used_again(models):
    model = models.caught("branch")
    args = models.inputs_of("branch", 3)
    env = model.program.start(args)
    middle = len(model.program.nodes) // 2
    model.program.advance(env, 0, middle)
    first = model.program.finish(dict(env), middle)
    assert torch.equal(model.program.finish(dict(env), middle), first)
    torch.testing.assert_close(first, model.module(*args))


class Product(nn.Module):
    """A matrix product of activations."""

    def forward(self, x):
        return (x[:, :, None] @ x[:, None]).mean(1)


def test_layers_have_the_names_of_their_modules(models):
    model = models.catch(models.Branch(nn.Sequential(Product())), models.vectors())
    assert [spec.name for spec in model.layers.specs] == [
        "first", "second", "inner.0.matmul_0", "head"]


def test_a_parameter_read_twice_is_one_node(models):
    sites = models.caught("branch").layers.sites
    nodes = {call.parameter for site in sites for call in site.calls if call.layer == "first"}
    assert sum("first" in site.layers for site in sites) == 2
    assert len(nodes) == 1


def test_activation_groups_are_found_in_a_recorded_graph():
    model = data_dependent(lambda linear, x: linear(linear(x) + x))
    traced = trace(model, (torch.randn(2, 6),))
    shapes = [data["shape"] for _, data in traced.graph.nodes(data=True)
              if data["target"] == "aten.add.Tensor"]
    assert shapes == [(2, 6)]


def test_writing_through_a_view_is_refused():
    def forward(linear, x):
        y = linear(x)
        y[:, 0] = 0
        return y

    with pytest.raises(Unsupported, match="writes through a view"):
        trace(data_dependent(forward), (torch.randn(2, 6),))


def test_a_random_model_is_refused():
    model = data_dependent(lambda linear, x: nn.functional.dropout(linear(x), training=True))
    with pytest.raises(Unsupported, match="not a function of its inputs"):
        trace(model, (torch.randn(2, 6),))


def test_autocast_that_is_off_changes_nothing():
    def forward(linear, x):
        with torch.autocast("cpu", enabled=False):
            return linear(x)

    model = data_dependent(forward)
    x = torch.randn(2, 6)
    torch.testing.assert_close(Program(trace(model, (x,))).run((x,)), model(x))


def test_autocast_that_is_on_is_refused():
    def forward(linear, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return linear(x).float()

    with pytest.raises(Unsupported, match="autocast"):
        trace(data_dependent(forward), (torch.randn(2, 6),))
