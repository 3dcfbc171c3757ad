"""The flow of a captured model: every operation, every layer's work, and who reads what."""

import math

import pytest
import torch

from mpsearch.core import io
from mpsearch.core.flow import Flow, Reader
from mpsearch.graph.flow import find_flow


@pytest.fixture(scope="module")
def flow_of(models):
    found = {}

    def make(name):
        if name not in found:
            model = models.caught(name)
            shapes = {spec.name: spec.weight_shape for spec in model.layers.specs
                      if spec.weight_shape}
            found[name] = model, find_flow(model.program, model.shapes, model.args, shapes)
        return found[name]

    return make


NAMES = ["chain", "residual", "dense", "sdpa", "sdpa_gqa", "tokens_first", "language", "stored",
         "twice", "maps"]


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_runs_with_all_its_multiplications(flow_of, name):
    model, flow = flow_of(name)
    found = {}
    for step in flow.steps:
        for piece in step.opened or step.pieces:
            if piece.layer:
                found[piece.layer] = found.get(piece.layer, 0) + piece.macs
    assert found == {spec.name: spec.macs for spec in model.layers.specs}


@pytest.mark.parametrize("name", NAMES)
def test_lives_lie_within_the_run_and_readers_are_layers(flow_of, name):
    model, flow = flow_of(name)
    layers = {spec.name for spec in model.layers.specs}
    for tensor in flow.tensors:
        assert -1 <= tensor.first <= tensor.last < len(flow.steps)
        assert tensor.elements > 0
        assert {reader.layer for reader in tensor.readers} <= layers
        assert tensor.floating or tensor.readers
    for step in flow.steps:
        assert step.after < flow.steps.index(step)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_reads_its_input_from_a_stored_tensor(flow_of, name):
    model, flow = flow_of(name)
    read = {reader for tensor in flow.tensors for reader in tensor.readers}
    wanted = {Reader(layer=spec.name, operand="input") for spec in model.layers.specs
              if spec.kind != "embedding"}
    inside = {step.opened[-1].layer for step in flow.steps if step.opened}
    # The probabilities inside fused attention are never stored.
    missing = {each.layer for each in wanted - read} - inside
    assert missing == set()


@pytest.mark.parametrize("name", ["chain", "residual", "sdpa"])
def test_a_flow_is_plain_data_and_always_the_same(flow_of, models, tmp_path, name):
    model, flow = flow_of(name)
    io.save(tmp_path / "flow.json", flow)
    assert io.load(tmp_path / "flow.json", Flow) == flow
    shapes = {spec.name: spec.weight_shape for spec in model.layers.specs if spec.weight_shape}
    assert find_flow(model.program, model.shapes, models.inputs_of(name, 5, seed=3), shapes) == flow


def test_a_residual_keeps_its_input_alive(flow_of):
    _, flow = flow_of("residual")
    kept = next(tensor for tensor in flow.tensors if tensor.name == "relu")
    added = next(n for n, step in enumerate(flow.steps) if step.name == "add_5")
    assert kept.last == added
    assert kept.floating, "the addition reads it in float"


def test_a_view_is_no_tensor_of_its_own(flow_of):
    _, flow = flow_of("sdpa")
    names = {tensor.name for tensor in flow.tensors}
    assert not {name for name in names if name.startswith(("view", "transpose"))}
    assert {step.pieces[0].kind for step in flow.steps if step.name.startswith("view")} == {"view"}


def test_parts_of_one_projection_have_readers_of_their_own(models):
    class Joint(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = torch.nn.Linear(8, 24)

        def forward(self, x):
            q, k, v = self.qkv(x).reshape(-1, 5, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            return (q @ k.transpose(-2, -1)).softmax(-1) @ v

    torch.manual_seed(0)
    model = models.catch(Joint(), (torch.randn(3, 5, 8),))
    shapes = {"qkv": (24, 8)}
    flow = find_flow(model.program, model.shapes, model.args, shapes)
    parts = {tensor.readers: tensor for tensor in flow.tensors
             if tensor.name.startswith("getitem")}
    assert set(parts) == {(Reader(layer="matmul_0", operand="input"),),
                          (Reader(layer="matmul_0", operand="other"),),
                          (Reader(layer="matmul_1", operand="other"),)}
    assert {part.elements for part in parts.values()} == {40}
    assert {part.first for part in parts.values()} == {0}, "as soon as the projection is there"


def test_fused_attention_in_the_open_is_two_products_and_a_softmax(flow_of):
    _, flow = flow_of("sdpa")
    step = next(step for step in flow.steps if step.opened)
    assert [piece.operation for piece in step.pieces] == ["attention"]
    assert [piece.operation for piece in step.opened] == ["matmul", "softmax", "matmul"]
    assert step.pieces[0].macs == sum(piece.macs for piece in step.opened)


def test_what_reads_a_result_alone_comes_after_it(flow_of):
    _, flow = flow_of("chain")
    assert [step.after for step in flow.steps] == [-1, 0, 1, 2, 3]


def test_elements_are_those_of_one_sample(flow_of):
    model, flow = flow_of("residual")
    given = flow.tensors[0]
    assert given.elements == math.prod(model.args[0].shape[1:])
