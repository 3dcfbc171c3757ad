"""What has no integer form is refused in one line that names the layer and the operation."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mpsearch.backends.integer_only.backend import IntegerOnly
from mpsearch.core.errors import BadInput, Unsupported
from mpsearch.core.formats.normal_float import NormalFloatFormat
from mpsearch.core.types import Scheme, StaticRange


class Between(nn.Module):
    """Two linear layers with something between them."""

    def __init__(self, between):
        super().__init__()
        self.first, self.last, self.between = nn.Linear(6, 4), nn.Linear(4, 3), between

    def forward(self, x):
        return self.last(self.between(self.first(x)))


class Act(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(("function", "words"), [
    (torch.tanh, ("'between'", "aten.tanh.default", "has no integer form")),
    (lambda x: x * x, ("aten.mul.Tensor", "two activations number by number")),
    (lambda x: x.softmax(0), ("aten.softmax.int", "another dimension than the last")),
    (lambda x: x + x.mean(), ("aten.mean", "has no integer form")),
    (lambda x: (x + torch.tensor([0, 0, 0, -torch.inf])).softmax(-1),
     ("stored numbers", "not finite")),
])
def test_an_operation_without_an_integer_form(integers, function, words):
    with pytest.raises(Unsupported) as caught:
        integers(Between(Act(function)), (torch.randn(3, 6),))
    line = str(caught.value)
    assert all(word in line for word in (*words, "simulated can"))
    assert "\n" not in line


@pytest.mark.parametrize("name", ["sdpa_mask", "attention", "stored"])
def test_networks_that_need_more(models, integers, name):
    model = models.caught(name)
    with pytest.raises(Unsupported, match="the backend integer_only cannot run it"):
        integers(model.module, model.args, model=model)


def one_layer(models, scheme, ranges=None):
    model = models.caught("chain")
    schemes = {spec.name: scheme for spec in model.layers.specs}
    static = {"input": StaticRange(scale=0.1, zero_point=3)}
    given = dict.fromkeys(schemes, static) if ranges is None else ranges
    return IntegerOnly()(model.program, model.fake, schemes, given)


@pytest.mark.parametrize(("change", "words"), [
    ({"weight": None}, "'layers.0': its weight is left in floating point"),
    ({"input": None}, "'layers.0': its input is left in floating point"),
    ({"weight": NormalFloatFormat(bits=4)}, "its weight is no plain integer"),
    ({"weight": "group"}, "has a scale for every 4 numbers"),
    ({"input": "token"}, "its input gets a new scale for every token"),
    ({"weight": "wide", "input": "wide"}, "may need 34 bits and integer_only adds in 32"),
])
def test_a_policy_that_is_not_all_static_integers(models, change, words):
    made = {"group": models.int_format(4, "group:4"), "token": models.int_format(8, "token"),
            "wide": models.int_format(16, "channel")}
    scheme = {"weight": models.int_format(8), "input": models.int_format(8, "tensor")}
    for operand, fmt in change.items():
        scheme[operand] = made.get(fmt, fmt) if isinstance(fmt, str) else fmt
    if change.get("input") == "wide":
        scheme["input"] = models.int_format(16, "tensor")
    with pytest.raises(Unsupported, match=words):
        one_layer(models, Scheme(**scheme))


def test_a_range_that_is_missing(models):
    scheme = Scheme(weight=models.int_format(8), input=models.int_format(8, "tensor"))
    with pytest.raises(Unsupported, match="its input has no calibrated range"):
        one_layer(models, scheme, ranges={})


@pytest.mark.parametrize("bits", [7, 33])
def test_widths_that_cannot_be(bits):
    with pytest.raises(BadInput, match="8 to 32 bits"):
        IntegerOnly(bits=bits)


def test_a_device_that_multiplies_no_integers():
    program = SimpleNamespace(device=torch.device("cuda"))
    with pytest.raises(Unsupported, match="the model is on cuda"):
        IntegerOnly()(program, None, {}, {})


def test_a_layer_that_the_model_lacks(models):
    model = models.caught("chain")
    with pytest.raises(BadInput, match="no layer 'nonesuch'"):
        IntegerOnly()(model.program, model.fake, {"nonesuch": Scheme()}, {})


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_inputs_that_are_not_finite_are_refused(models, number):
    made = one_layer(models, Scheme(weight=models.int_format(8),
                                      input=models.int_format(8, "tensor")))
    x = models.inputs_of("chain", 2)[0]
    x[0, 0] = number
    with pytest.raises(BadInput, match=r"the input 'x'.*not finite"):
        made(x)
