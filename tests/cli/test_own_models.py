"""Models and data of one's own, end to end through the same command."""

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from mpsearch.core.types import Policy

RESNET20 = """
import torch
from torch import nn
from torch.nn import functional as F

class Block(nn.Module):
    def __init__(self, before, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride, self.grow = stride, (planes - before) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grow:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.grow, self.grow))
        return F.relu(x + y)

class ResNet20(nn.Module):
    pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.485, 0.456, 0.406),
                      "std": (0.229, 0.224, 0.225), "crop_pct": 1.0, "interpolation": "bilinear"}

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        for n in (1, 2, 3):
            parts = [Block(widths[n - 1] if i == 0 else widths[n], widths[n],
                           2 if i == 0 and n > 1 else 1) for i in range(3)]
            setattr(self, f"layer{n}", nn.Sequential(*parts))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))

def model():
    return ResNet20()
"""

SWIN = """
from timm.models.swin_transformer import SwinTransformer

def model():
    net = SwinTransformer(img_size=32, patch_size=2, window_size=4, embed_dim=24, depths=(2, 2),
                          num_heads=(2, 4), num_classes=5)
    net.pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    return net
"""

QUICK = """
[[rule]]
kind = ["conv", "linear"]
layer = "layer*"
weight = { bits = [2, 4, 8], scale = "absmax" }

[[rule]]
layer = "layers.2.*"
float = true
"""

FLOW = """
import torch
from torch import nn

class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, x):
        y = self.first(x)
        if float(y.sum()) > -1e9:
            y = y.relu()
        return self.last(y)

def data():
    return torch.randn(64, 64)
"""


def images(path, size, classes, *, count=24):
    drawn = np.random.default_rng(0)
    np.savez(path, x=drawn.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
             y=np.arange(count) % classes)
    return path


def check(ran, folder, *, bits):
    """The answer holds together; give the policy."""
    policy = Policy.load(folder / "policy.json")
    assert ran.data["totals"]["bits_per_weight"] <= bits
    assert ran.data["layers"] == {name: str(scheme) for name, scheme in policy.layers.items()}
    assert ran.data["evaluation"]["kl"] >= 0
    return policy


def test_a_function_of_a_package(tool, tmp_path, monkeypatch):
    package = tmp_path / "nets_of_a_user"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "flow.py").write_text(FLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    ran = tool("allocate", "--budget", "5bpw", "--json", "--model", "nets_of_a_user.flow:Flow",
               "--data", "nets_of_a_user.flow:data", "--output", "policy.json", cwd=tmp_path)
    policy = check(ran, tmp_path, bits=5)
    assert list(policy.layers) == ["first", "last"]
    assert policy.evaluation.top1 is None, "there are no labels"
    note, = (note for note in ran.data["notes"] if "recorded" in note)
    assert "torch.export" in note


def test_a_trained_resnet_with_its_own_weights_and_images(tool, test_data, tmp_path):
    weights, arrays = (test_data / name for name in (
        "resnet20_cifar10.safetensors", "cifar10_test_3000.npz"))
    (tmp_path / "nets.py").write_text(RESNET20)
    ran = tool("allocate", "--budget", "4bpw", "--json", "--model", "nets.py:model", "--weights",
               weights, "--data", arrays, "--estimator", "fisher", "--calibration-samples", "16",
               "--evaluation-samples", "128", "--batch-size", "64", cwd=tmp_path)
    policy = check(ran, tmp_path, bits=4)
    assert len(policy.layers) == 20
    assert policy.evaluation.float_top1 > 0.7
    assert policy.evaluation.agreement > 0.8
    again = tool("run", "--policy", "policy.json", "--timing", "0",
                 "--evaluation-samples", "128", "--batch-size", "64", "--json", cwd=tmp_path)
    assert again.data["kl"] == policy.evaluation.kl


def test_a_timm_resnet_with_a_weights_file(tool, tmp_path):
    torch.manual_seed(0)
    save_file(timm.create_model("resnet18", num_classes=1000).state_dict(),
              tmp_path / "weights.safetensors")
    (tmp_path / "quick.toml").write_text(QUICK)
    images(tmp_path / "images.npz", 64, 1000, count=4)
    ran = tool("allocate", "--budget", "4.5bpw", "--json", "--model", "resnet18", "--weights",
               "weights.safetensors", "--data", "images.npz", "--estimator", "weight_error",
               "--calibration-samples", "2", "--evaluation-samples", "2", "--space", "quick.toml",
               cwd=tmp_path)
    policy = check(ran, tmp_path, bits=4.5)
    assert len(policy.layers) == 21
    assert policy.model.source == "resnet18"


def test_a_swin_of_the_users_own(tool, tmp_path):
    (tmp_path / "nets.py").write_text(SWIN)
    images(tmp_path / "images.npz", 32, 5)
    ran = tool("allocate", "--budget", "5bpw", "--json", "--model", "nets.py:model", "--data",
               "images.npz", "--estimator", "fisher", "--calibration-samples", "4",
               "--evaluation-samples", "8", "--batch-size", "4", cwd=tmp_path)
    policy = check(ran, tmp_path, bits=5)
    assert any(scheme.is_float for scheme in policy.layers.values()), "products stay in float"
    assert policy.layers["layers.0.blocks.1.attn.qkv"].weight is not None


def test_a_swin_by_its_timm_name(tool, tmp_path):
    name = "swin_s3_tiny_224"
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "quick.toml").write_text(QUICK)
    images(tmp_path / "images.npz", 224, 1000, count=4)
    ran = tool("allocate", "--budget", "30bpw", "--json", "--model", name, "--weights",
               "weights.safetensors", "--data", "images.npz", "--estimator", "weight_error",
               "--no-verify", "--calibration-samples", "1", "--batch-size", "1", "--space",
               "quick.toml", cwd=tmp_path)
    assert ran.data["layers"]["layers.0.blocks.1.mlp.fc2"].startswith("W")
    assert ran.data["layers"]["layers.2.blocks.1.mlp.fc2"] == "float"
    assert ran.data["totals"]["bits_per_weight"] <= 30


def test_a_model_without_any_data(tool, user):
    ran = tool("allocate", "--budget", "5bpw", "--json", "--model", "resnet10t", "--weights",
               "weights.safetensors", "--estimator", "weight_error", "--no-verify", cwd=user)
    assert ran.code == 2, "the weights are not there yet"
    torch.manual_seed(0)
    save_file(timm.create_model("resnet10t").state_dict(), user / "weights.safetensors")
    ran = tool("allocate", "--budget", "5bpw", "--json", "--model", "resnet10t", "--weights",
               "weights.safetensors", "--estimator", "weight_error", "--no-verify", cwd=user)
    assert ran.data["totals"]["bits_per_weight"] <= 5
    assert ran.data["evaluation"] is None


def test_weights_and_activations_of_the_embedded_model(tool, root, tmp_path):
    """In a copy of the shipped space with fewer widths."""
    space = (root / "search_spaces" / "weights_and_activations.toml").read_text()
    for widths, fewer in (("[2, 3, 4, 5, 6, 7, 8]", "[2, 4, 6]"), ("[4, 6, 8]", "[4, 8]")):
        assert widths in space
        space = space.replace(widths, fewer)
    (tmp_path / "space.toml").write_text(space)
    few = ("--evaluation-samples", "8", "--batch-size", "4")
    ran = tool("allocate", "--budget", "3.2bpw", "--json", "--space", "space.toml", "--estimator",
               "fisher", "--calibration-samples", "4", *few, cwd=tmp_path)
    policy = check(ran, tmp_path, bits=3.2)
    static = [name for name, scheme in policy.layers.items()
              if any(fmt and not fmt.dynamic for fmt in (scheme.input, scheme.other))]
    assert all(scheme.input is not None for scheme in policy.layers.values())
    assert set(policy.activations) == set(static)
    again = tool("run", "--policy", "policy.json", "--timing", "0", *few, "--json", cwd=tmp_path)
    assert again.data["kl"] == policy.evaluation.kl


def test_weights_in_groups(tool, user, mine):
    """Rows of 27, 72 and 16 weights end in shorter groups."""
    ran = tool("allocate", "--budget", "5bpw", "--json", "--space", "weights_grouped", *mine,
               cwd=user)
    policy = check(ran, user, bits=5)
    assert {scheme.weight.group_size for scheme in policy.layers.values()} <= {32, 64, 128}
    again = tool("run", "--policy", "policy.json", "--timing", "0", "--json", *mine[4:6],
                 *mine[8:], cwd=user)
    assert again.data["kl"] == policy.evaluation.kl


def test_operations_are_a_budget_where_activations_are_quantized(tool, user, mine):
    whole = ("--space", "weights_and_activations", "--estimator", "fisher", *mine)
    free = tool("allocate", "-b", "9TBOPs", "--no-verify", "--json", *whole, cwd=user).data
    floor, ceiling = (free["budgets"][0][name] for name in ("floor", "ceiling"))
    middle = f"{(floor + ceiling) / 2:.0f}BOPs"
    tight = tool("allocate", "-b", middle, "--no-verify", "--json", *whole, cwd=user).data
    assert floor <= tight["totals"]["bops"] <= tight["budgets"][0]["requested"] < ceiling
    assert tight["totals"]["predicted_loss"] >= free["totals"]["predicted_loss"]
