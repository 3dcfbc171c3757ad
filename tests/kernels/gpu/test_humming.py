"""The adapter to humming-kernels: what it hands over, and what it does where that goes wrong.

Without a GPU a stand-in takes the place of the package: it reads the same arguments and rounds to
the same 16 bits. Where the package is installed, the names and arguments used here are held to it.
"""

import ast
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mpsearch.core.errors import BadInput
from mpsearch.kernels import reference
from tests.kernels.cases import case


class StandIn(torch.nn.Module):
    """A HummingLayer in torch."""

    wrong = 0

    def __init__(self, *, shape_n, shape_k, weight_config, input_config, torch_dtype):
        super().__init__()
        assert weight_config["scale_type"] == "tensor"
        assert input_config == {"dtype": "int8", "quant_mode": "static_tensor"}
        assert torch_dtype is torch.float16
        self.shape, self.bits = (shape_n, shape_k), int(weight_config["dtype"].removeprefix("uint"))

    def load_from_tensors(self, tensors):
        assert tensors["weight"].shape == self.shape
        assert tensors["input_scale"].tolist() == [1.0]
        self.steps = tensors["weight"] - (1 << (self.bits - 1))
        self.unit = float(tensors["weight_scale"])

    def transform(self):
        self.ready = True

    def forward(self, codes):
        assert self.ready
        assert codes.dtype == torch.int8
        return ((codes.long() @ self.steps.long().T + self.wrong).double() * self.unit).half()


@pytest.fixture
def humming(face, monkeypatch):  # noqa: ARG001 - skips without Triton
    """The adapter with a stand-in for the package, on the CPU."""
    from mpsearch.kernels.gpu import humming

    package, layer = ModuleType("humming"), ModuleType("humming.layer")
    package.ops = ModuleType("humming.ops")
    package.ops.pack_weight = lambda codes, _bits: codes
    package.__spec__ = importlib.util.spec_from_loader("humming", None)
    layer.HummingLayer = StandIn
    for module in (package, layer):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(humming, "_capable", lambda _: True)
    monkeypatch.setenv(humming.VARIABLE, "humming")
    humming.works.cache_clear()
    yield humming
    humming.works.cache_clear()


def around_zero(bits, shape, *, group=None):
    """A case with weights around zero, and activations without a zero point."""
    from mpsearch.kernels import PackedWeight

    made = case(bits, shape, seed=bits)
    half = 1 << (bits - 1)
    codes = torch.randint(-half + 1, half, shape[1:], generator=torch.Generator().manual_seed(bits))
    weight = PackedWeight.of(codes, torch.rand(shape[1]) + 0.5, bits=bits, first=-half + 1,
                             group=group)
    return made.a.codes, made.a.scale, torch.zeros(1, dtype=torch.int32), weight, made.bias


@pytest.mark.parametrize("bits", range(2, 9))
def test_sums_keep_eleven_bits(humming, face, bits):
    args = around_zero(bits, (5, 64, 192))
    wanted = reference.linear(*args)
    found = face.linear(*args)
    assert humming.linear(*args) is not None
    sums = (args[0].double() @ args[3].steps().double().T).abs()
    room = sums.float() * 2.0 ** -11 * args[3].scales()[:, 0] * args[1].view(-1, 1)
    assert ((found - wanted).abs() <= room + 1e-5 * wanted.abs().max()).all()


def test_what_it_does_not_take_goes_to_triton(humming):
    codes, scale, zero, weight, bias = around_zero(4, (3, 64, 128))
    assert humming.linear(codes, scale, zero, weight, bias) is not None
    assert humming.linear(codes, scale, zero + 3, weight, bias) is None
    assert humming.linear(codes[:0], scale[:0], zero, weight, bias) is None
    for shape in ((3, 65, 128), (3, 64, 100)):
        assert humming.linear(*around_zero(4, shape)) is None
    assert humming.linear(*around_zero(4, (3, 64, 128), group=32)) is None
    lopsided = case(4, (3, 64, 128), seed=4)
    assert humming.linear(lopsided.a.codes, lopsided.a.scale, zero, lopsided.weight, None) is None


def test_wrong_sums_are_told_once_and_not_used(humming, face, monkeypatch):
    monkeypatch.setattr(StandIn, "wrong", 1 << 12)
    args = around_zero(3, (2, 64, 64))
    args = (*args[:3], args[3].in_words(), args[4])
    with pytest.warns(RuntimeWarning, match="wrong sums for 3-bit weights"):
        first = face.linear(*args)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        second = face.linear(*args)
    assert humming.works(3, args[0].device) is False
    assert torch.equal(first, reference.linear(*args))
    assert torch.equal(first, second)


def test_a_package_that_does_not_run_is_told_in_a_line(humming, monkeypatch):
    def broken(_):
        raise RuntimeError("no nvcc\nmore")

    monkeypatch.setattr(StandIn, "forward", lambda _, codes: broken(codes))
    with pytest.warns(RuntimeWarning, match=r"4-bit weights \(no nvcc\): Triton computes"):
        assert humming.linear(*around_zero(4, (3, 64, 128))) is None


def test_it_is_asked_for_by_name(humming, monkeypatch):
    monkeypatch.setenv(humming.VARIABLE, "cublas")
    with pytest.raises(BadInput, match="unknown MPSEARCH_GPU 'cublas': use one of triton, humming"):
        humming.wanted()
    monkeypatch.delenv(humming.VARIABLE)
    assert not humming.wanted()
    monkeypatch.setenv(humming.VARIABLE, "humming")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match=r"needs a package: pip install 'mpsearch\[gpu\]'"):
        humming.wanted()


def arguments(file, name, inside=None):
    """The arguments of a function, or the fields of a class, in the package's own source."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if inside:
        tree = next(each for each in tree.body if getattr(each, "name", None) == inside)
    found = next(each for each in tree.body if getattr(each, "name", None) == name)
    if isinstance(found, ast.ClassDef):
        return [each.target.id for each in found.body if isinstance(each, ast.AnnAssign)]
    return [each.arg for each in found.args.args]


def test_the_package_has_the_names_and_arguments_that_are_used():
    found = importlib.util.find_spec("humming")
    if found is None or found.origin is None:
        pytest.skip("humming-kernels is not installed")
    room = Path(found.origin).parent
    layer = room / "layer.py"
    fields = arguments(layer, "HummingLayer")
    assert {"shape_n", "shape_k", "weight_config", "input_config", "torch_dtype"} <= set(fields)
    assert arguments(layer, "load_from_tensors", "HummingLayer")[:2] == ["self", "tensors"]
    assert arguments(layer, "transform", "HummingLayer") == ["self"]
    assert arguments(layer, "forward", "HummingLayer")[:2] == ["self", "inputs"]
    assert arguments(room / "ops" / "weight.py", "pack_weight")[:2] == ["inputs", "num_bits"]
    schema = (room / "schema" / "humming.py").read_text(encoding="utf-8")
    for alias in ('"b_dtype": ["weight_dtype", "dtype"]', '["scale_type"]', '"quant_mode"',
                  '"a_dtype": ["input_dtype", "dtype"]'):
        assert alias in schema
    kinds = (room / "config" / "enum.py").read_text(encoding="utf-8")
    assert 'StaticTensor = "static_tensor"' in kinds
    assert 'TENSOR = "tensor"' in kinds
