"""ResNet-20 for CIFAR-10 (He et al., 2016, option A): shortcuts stride and pad with zeros."""

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.padding = stride, (outside - inside) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(x + y)


class ResNet20(nn.Module):
    """Three stages of three blocks, 16, 32 and 64 channels wide."""

    pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.485, 0.456, 0.406),
                      "std": (0.229, 0.224, 0.225), "interpolation": "bicubic", "crop_pct": 1.0}

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        for stage in (1, 2, 3):
            inside, outside = widths[stage - 1], widths[stage]
            self.add_module(f"layer{stage}", nn.Sequential(
                Block(inside, outside, 1 if stage == 1 else 2),
                Block(outside, outside, 1), Block(outside, outside, 1)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def model():
    """The network without its weights."""
    torch.manual_seed(0)
    return ResNet20()
