"""The operators inside torch: fake tensors, compilation, autocast."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mpsearch.kernels import linear, quantize
from mpsearch.kernels.library import using
from tests.kernels.cases import case

OPS = torch.ops.mpsearch


def arguments():
    """Every operator with arguments it can be called with."""
    made = case(4, (5, 70, 24), seed=1)
    w, a = made.weight, made.a
    weight = (w.stream, w.scale, w.zero, w.sums, w.bits, w.outputs, w.group)
    x, one, none = torch.randn(5, 24), torch.ones(1), torch.zeros(1, dtype=torch.int32)
    codes, table = a.codes.view(1, 5, 24), torch.zeros(1, 5, dtype=torch.int32)
    return {
        "int_linear": (a.codes, a.scale, a.zero, *weight, made.bias),
        "int_linear_sums": (a.codes, a.zero, *weight),
        "quantize_rows": (x, one, none, -8, 7, ""),
        "quantize_rows_dynamic": (x, 0, 255, False, "there"),
        "int_batched": (codes, table.float(), table, codes, table.float(), table),
        "int_batched_sums": (codes, table, codes, table),
        "int_depthwise_sums": (codes.view(1, 5, 4, 6), torch.ones(5, 3, 2, dtype=torch.int16), 3,
                               [1, 2, 1, 0, 1, 1]),
    }


@pytest.mark.parametrize("name", list(arguments()))
def test_fake_tensors_have_the_shapes_types_and_strides_of_real_ones(compiled, name):
    operator, args = getattr(OPS, name), arguments()[name]
    with using(compiled):
        torch.library.opcheck(operator.default, args, test_utils=(
            "test_schema", "test_faketensor"))
        real = operator(*args)
    with FakeTensorMode(allow_non_fake_inputs=True):
        fake = operator(*args)
    for one, two in zip(real if isinstance(real, tuple) else (real,),
                        fake if isinstance(fake, tuple) else (fake,), strict=True):
        assert (one.shape, one.dtype, one.stride()) == (two.shape, two.dtype, two.stride())


def layer(x, weight, bias):
    return torch.relu(linear(quantize(x, -128, 127), weight, bias)) + 1


def test_a_layer_compiles_without_a_break(compiled):
    made = case(3, (5, 70, 24), seed=2)
    x = torch.randn(2, 5, 24)
    with using(compiled):
        wanted = layer(x, made.weight, made.bias)
        program = torch.compile(layer, backend="eager", fullgraph=True)
        assert torch.equal(program(x, made.weight, made.bias), wanted)


@pytest.mark.usefixtures("anywhere")
def test_autocast_changes_nothing():
    made = case(3, (5, 70, 24), seed=2)
    x = torch.randn(5, 24)
    wanted = layer(x, made.weight, made.bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x, made.weight, made.bias), wanted)
