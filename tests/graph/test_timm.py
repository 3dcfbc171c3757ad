"""Models of the model library work without a special case."""

import pytest
import timm
import torch
from timm.models.resnet import Bottleneck, ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def small_resnet():
    return ResNet(Bottleneck, (1, 1, 1, 1), channels=(8, 8, 8, 8), num_classes=5)


def small_swin():
    return SwinTransformer(img_size=32, patch_size=4, embed_dim=16, depths=(2, 1),
                           num_heads=(2, 4), window_size=4, num_classes=5)


def small_vit():
    return VisionTransformer(img_size=16, patch_size=8, embed_dim=16, depth=2, num_heads=2,
                             num_classes=5)


CASES = {
    "resnet": (small_resnet, 32, 0),
    "resnet18": (lambda: timm.create_model("resnet18"), 64, 0),
    "mobilenet": (lambda: timm.create_model("mobilenetv3_small_050"), 32, 0),
    "convnext": (lambda: timm.create_model("convnext_atto"), 32, 0),
    "swin": (small_swin, 32, 2 * 3),
    "vit": (small_vit, 16, 2 * 2),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, models):
    make, size, matmuls = CASES[request.param]
    torch.manual_seed(0)
    return request.param, models.catch(make(), (torch.randn(2, 3, size, size),)), size, matmuls


def test_the_model_works(case):
    _, model, size, matmuls = case
    x = torch.randn(3, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(model.program.run((x,)), model.module(x))
    assert model.traced.notes == ()
    assert model.layers.left_in_float == ()
    weighted = [name for name, module in model.module.named_modules()
                if isinstance(module, nn.Linear | nn.Conv2d)]
    found = [spec.name for spec in model.layers.specs]
    assert sorted(weighted) == sorted(name for name in found if ".matmul_" not in name)
    assert sum(".matmul_" in name for name in found) == matmuls
    for spec in model.layers.specs:
        if spec.weight:
            assert tuple(model.module.get_parameter(spec.weight).shape) == spec.weight_shape


def test_macs_are_half_the_operations_that_torch_counts(case):
    _, model, size, _ = case
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, sdpa_kernel(SDPBackend.MATH):
        model.module(torch.randn(1, 3, size, size))
    assert 2 * sum(spec.macs for spec in model.layers.specs) == counter.get_total_flops()


def test_samples_come_first_in_every_layer(case):
    name, model, _, _ = case
    axes = {site.layers[0]: model.shapes.sample_axes[site.node] for site in model.layers.sites}
    assert {axis.dim for axis in axes.values()} == {0}
    folded = {layer: axis.run for layer, axis in axes.items() if axis.run > 1}
    # 8 x 8 patches in the first stage are 4 windows
    windows = ["qkv", "matmul_0", "matmul_1", "proj"]
    assert folded == ({f"layers.0.blocks.{n}.attn.{part}": 4 for n in (0, 1) for part in windows}
                      if name == "swin" else {})


def test_layers_that_read_one_stored_activation_are_tied(case):
    name, model, _, _ = case
    found = {}
    for spec in model.layers.specs:
        found.setdefault(spec.activation_group, []).append(spec.name)
    tied = [members for members in found.values() if len(members) > 1]
    if name in {"swin", "vit"}:
        assert tied == []
    if name == "resnet":
        assert tied == [[f"layer{n}.0.conv1", f"layer{n}.0.downsample.0"] for n in range(1, 5)]
    if name == "resnet18":
        assert tied == [
            ["layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer2.0.downsample.0"],
            ["layer2.1.conv1", "layer3.0.conv1", "layer3.0.downsample.0"],
            ["layer3.1.conv1", "layer4.0.conv1", "layer4.0.downsample.0"]]
