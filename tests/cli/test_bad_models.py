"""Models and weights that cannot be used."""

import pytest
import torch
from safetensors.torch import save_file

HOPELESS = """
import torch
from torch import nn

class Log(nn.Module):
    def forward(self, x):
        return torch.log(-1 - x.abs())

class Lost(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(4, 4), Log(), nn.Linear(4, 2)
    def forward(self, x):
        return self.last(self.inner(self.first(x)))

def data():
    return torch.randn(32, 4)

def nothing_to_quantize():
    return nn.Sequential(nn.ReLU(), nn.Flatten())

def no_module():
    return {"weights": 1}

def raises():
    raise RuntimeError("first line\\nsecond line")
"""

ALLOCATE = ("allocate", "--budget", "5bpw")


@pytest.fixture
def state():
    """Weights that fit the user's model."""
    torch.manual_seed(1)
    shapes = {"0.weight": (8, 3, 3, 3), "0.bias": (8,), "3.weight": (16, 72), "3.bias": (16,),
              "5.weight": (4, 16), "5.bias": (4,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(("name", "words"), [
    ("resnet_18", ["unknown timm model 'resnet_18'", "resnet18"]),
    ("qqqqqq", ["unknown timm model 'qqqqqq'", "package.module:function"]),
    ("resnet18.no_such_tag", ["resnet18.no_such_tag", "resnet18.a1_in1k"]),
    ("no_such_package.nets:model", ["no_such_package"]),
    ("mine.py:no_such_function", ["no_such_function"]),
    ("nowhere.py:model", ["no such file: nowhere.py"]),
    ("mine.py", ["path/file.py:function"]),
])
def test_a_model_that_is_not_there(refused, user, name, words):
    line = refused(*ALLOCATE, "--model", name, "--data", "mine.py:data", cwd=user)
    assert all(word in line for word in words)


@pytest.mark.parametrize(("function", "words"), [
    ("no_module", ["returned a dict", "torch.nn.Module"]),
    ("raises", ["RuntimeError", "first line second line", "hopeless.py:26"]),
    ("nothing_to_quantize", ["no quantisable layer"]),
])
def test_a_function_that_makes_no_usable_model(refused, user, function, words):
    (user / "hopeless.py").write_text(HOPELESS)
    line = refused(*ALLOCATE, "--model", f"hopeless.py:{function}", "--data", "hopeless.py:data",
                   cwd=user)
    assert all(word in line for word in words)


def test_weights_that_are_not_there(refused, user, mine):
    line = refused(*ALLOCATE, *mine, "--weights", "gone.safetensors", cwd=user)
    assert "gone.safetensors" in line
    assert "--weights" in line


def test_weights_of_another_model_name_keys(refused, user, mine, state):
    state["extra.weight"] = state.pop("3.bias")
    save_file(state, user / "other.safetensors")
    line = refused(*ALLOCATE, *mine, "--weights", "other.safetensors", cwd=user)
    assert "missing (3.bias)" in line
    assert "unexpected (extra.weight)" in line


def test_weights_of_other_shapes_name_both(refused, user, mine, state):
    state["5.weight"] = torch.zeros(10, 16)
    save_file(state, user / "other.safetensors")
    line = refused(*ALLOCATE, *mine, "--weights", "other.safetensors", cwd=user)
    assert "5.weight is 10x16 in the file and 4x16 in the model" in line


def test_weights_that_are_no_weights(refused, user, mine):
    (user / "text.safetensors").write_text("not tensors at all")
    assert "text.safetensors" in refused(*ALLOCATE, *mine, "--weights", "text.safetensors",
                                         cwd=user)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_name_the_layer(refused, user, mine, state, value):
    state["3.weight"][0, 0] = value
    save_file(state, user / "bad.safetensors")
    line = refused(*ALLOCATE, *mine, "--weights", "bad.safetensors", cwd=user)
    assert "bad.safetensors" in line
    assert "3.weight" in line


@pytest.mark.parametrize("estimator", ["kl_probe", "fisher"])
def test_activations_that_are_not_finite_name_the_layer(refused, user, estimator):
    (user / "hopeless.py").write_text(HOPELESS)
    line = refused("allocate", "--budget", "8bpw", "--model", "hopeless.py:Lost", "--data",
                   "hopeless.py:data", "--estimator", estimator, cwd=user)
    assert "not finite" in line
    assert "'inner'" in line
