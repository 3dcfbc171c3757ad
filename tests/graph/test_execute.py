"""A program runs in parts, with changed operands, and drops what is no longer needed."""

import pytest
import torch
from torch import nn

from mpsearch.core.errors import BadInput


def test_a_program_runs_in_parts(models):
    model = models.caught("residual")
    args = models.inputs_of("residual", 2)
    whole = model.program.run(args)
    for place in range(0, len(model.program.nodes), 3):
        env = model.program.start(args)
        model.program.advance(env, 0, place)
        assert torch.equal(model.program.finish(env, place), whole)


def test_values_are_dropped_after_their_last_use(models):
    model = models.caught("deep")
    env = model.program.start(models.inputs_of("deep", 2))
    sizes = []
    for place in range(len(model.program.nodes) - 1):
        model.program.advance(env, place, place + 1)
        sizes.append(len(env))
    parameters = 2 * len(model.layers.specs)
    assert sizes[0] == parameters + 1
    assert sizes[-1] == 1  # the output alone: parameters go too


def test_a_float_program_is_not_affected_by_changes_of_others(models):
    model = models.caught("chain")
    args = models.inputs_of("chain", 2)
    assert torch.equal(model.program.run(args, {"nothing": {}}), model.program.run(args))


def test_an_operand_is_changed_before_the_operation(models):
    model = models.caught("chain")
    (x,) = models.inputs_of("chain", 2)
    first = model.module.layers[0]
    half = model.program.run((x,), {"layers.0": {"input": lambda v: v / 2}})
    torch.testing.assert_close(half, model.module(x / 2))
    gone = model.program.run((x,), {"layers.0": {"weight": torch.zeros_like}})
    rest = nn.functional.gelu(first.bias.expand(2, -1))
    for layer in model.module.layers[1:-1]:
        rest = nn.functional.gelu(layer(rest))
    torch.testing.assert_close(gone, model.module.layers[-1](rest))


def test_the_other_operand_of_a_product_is_changed(models):
    model = models.caught("attention")
    args = models.inputs_of("attention", 2)
    quiet = model.program.run(args, {"matmul_1": {"other": torch.zeros_like}})
    with torch.no_grad():
        model.module.v.weight.data, kept = torch.zeros(8, 8), model.module.v.weight.data
        model.module.v.bias.data, bias = torch.zeros(8), model.module.v.bias.data
        expected = model.module(*args)
        model.module.v.weight.data, model.module.v.bias.data = kept, bias
    torch.testing.assert_close(quiet, expected)


def test_stored_tensors_can_be_replaced(models):
    model = models.caught("chain")
    args = models.inputs_of("chain", 2)
    node = model.layers.call("layers.0").parameter
    weight = model.program.parameters[node]
    found = model.program.run(args, stored={node: torch.zeros_like(weight)})
    assert torch.equal(found, model.program.run(
        args, {"layers.0": {"weight": torch.zeros_like}}))
    assert not torch.equal(found, model.program.run(args))


def test_a_layer_whose_weight_is_turned_and_cut_is_changed_as_a_whole(models):
    model = models.caught("stored")
    (x,) = models.inputs_of("stored", 4)
    names = [spec.name for spec in model.layers.specs]
    found = model.program.run((x,), {name: {"weight": lambda rows: 2 * rows} for name in names})
    module, _ = models.build("stored")
    for name, parameter in module.named_parameters():
        if "bias" not in name:
            parameter.data *= 2
    torch.testing.assert_close(found, module(x))


def test_watching_sees_arguments_and_replaces_the_output(models):
    model = models.caught("chain")
    (x,) = models.inputs_of("chain", 2)
    seen = []

    def watch(site, args, _kwargs, output, _env):
        seen.append((site.layers, args[0].shape))
        return output * 0 if site.layers == ("layers.2",) else output

    output = model.program.run((x,), watch=watch)
    assert seen == [(("layers.0",), (2, 6)), (("layers.1",), (2, 8)), (("layers.2",), (2, 8))]
    assert not output.any()


def test_another_number_of_inputs_is_refused(models):
    with pytest.raises(BadInput, match="captured with 1 inputs, the data has 2"):
        models.caught("chain").program.run((torch.randn(2, 6), torch.randn(2, 6)))


def test_parameters_carry_no_gradient():
    module = nn.Linear(6, 3)
    assert module.weight.requires_grad
    # loaded models are frozen, a caller's own may not be
    from mpsearch.graph.execute import Program
    from mpsearch.graph.trace import trace

    program = Program(trace(module.eval(), (torch.randn(2, 6),)))
    assert not any(tensor.requires_grad for tensor in program.parameters.values())
