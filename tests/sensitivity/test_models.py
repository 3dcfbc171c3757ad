"""Every estimator at once, through the interface of users, on networks as they have them."""

import math

import pytest
import torch

import mpsearch
from mpsearch import plugins

NAMES = plugins.names("estimator")

SPACE = """
[[rule]]
kind = ["linear", "conv", "embedding"]
layer = "{layers}"
weight = {{ bits = [3, 6], granularity = "channel", scale = "absmax" }}
"""

TIMM = """
import timm
import torch

def swin():
    torch.manual_seed(0)
    return timm.create_model("swin_tiny_patch4_window7_224", img_size=32, patch_size=2,
                             window_size=4, embed_dim=16, depths=(1, 2), num_heads=(2, 4),
                             num_classes=5)

def mobilevit():
    torch.manual_seed(0)
    return timm.create_model("mobilevit_xxs", num_classes=5)

def swin_data():
    return torch.randn(6, 3, 32, 32), torch.arange(6) % 5

def mobilevit_data():
    return torch.randn(4, 3, 32, 32), torch.arange(4)
"""

LANGUAGE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(11, 16), nn.Embedding(6, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = nn.Linear(16, 7)

    def forward(self, ids, shift):
        x = self.words(ids) + self.places(torch.arange(6)) + shift[:, None]
        return self.head(self.block(x).mean(1))

def model():
    torch.manual_seed(0)
    return Net()

def data(split):
    for _ in range(2):
        yield {"args": (torch.randint(0, 11, (2, 6)), torch.randn(2, 16)),
               "labels": torch.randint(0, 7, (2,)), "segments": torch.tensor([4, 1]),
               "tokens": torch.tensor([[0, 0, 1, 1, 2, 2]] * 2)}
"""


@pytest.fixture
def measure(tmp_path):
    """The tables of all estimators, checked."""

    def of(model, data, samples, layers="*"):
        (tmp_path / "space.toml").write_text(SPACE.format(layers=layers))
        found = mpsearch.measure(
            model, data=data, estimators=NAMES, space=str(tmp_path / "space.toml"),
            workspace=str(tmp_path / "workspace"), calibration_samples=samples,
            evaluation_samples=1, batch_size=2)
        assert sorted(found.tables) == NAMES
        assert found.resumed_units == 0
        for table in found.tables.values():
            assert [len(row) for row in table.values] == [
                len(group.schemes) for group in found.record.space.groups]
            values = [value for row in table.values for value in row]
            assert all(map(math.isfinite, values)), table.metric
            assert max(values) > 0
        for name in ("weight_error", "output_error", "sqnr"):  # more error in every single layer
            rows = [row for row in found.tables[name].values if len(row) > 1]
            assert rows
            assert all(row[0] > row[1] for row in rows)
        return found

    return of


@pytest.fixture
def user_file(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(("name", "layers", "least"), [
    ("swin", "layers.1*", 9), ("mobilevit", "stages.2.1.t*", 8),
])
def test_models_of_timm(measure, user_file, name, layers, least):
    path = user_file(TIMM)
    found = measure(f"{path}:{name}", f"{path}:{name}_data", 2, layers)
    scored = [group for group in found.record.space.groups if len(group.schemes) > 1]
    assert len(scored) >= least


def test_a_resnet_with_padded_shortcuts(models, measure):
    torch.manual_seed(0)
    data = [(torch.randn(8, 3, 16, 16), torch.arange(8))]
    found = measure(models.ResNet20(width=8), data, 3)
    assert len(found.record.space.groups) == 20


def test_a_function_that_tells_segments_and_tokens_apart(measure, user_file):
    path = user_file(LANGUAGE)
    found = measure(f"{path}:model", f"{path}:data", 4)
    for name in ("fisher", "output_error", "kl_probe"):
        parts = found.tables[name].segments
        assert [(part.name, part.samples) for part in parts] == [("1", 2), ("4", 2)]
    assert found.tables["weight_error"].segments == ()
