import pytest
import torch
from PIL import Image
from torch import nn

from mpsearch.sources.preprocess import Preprocessing, preprocessing_of


class Net(nn.Module):
    def __init__(self, channels=3, config=None):
        super().__init__()
        self.first = nn.Conv2d(channels, 2, 1)
        if config is not None:
            self.pretrained_cfg = config


def test_the_models_own_configuration_is_read():
    config = {"input_size": (1, 8, 8), "mean": (0.1,), "std": (0.2,), "crop_pct": 0.9,
              "interpolation": "bilinear", "crop_mode": "squash"}
    assert preprocessing_of(Net(1, config)) == Preprocessing(
        mean=(0.1,), std=(0.2,), size=(1, 8, 8), crop=0.9, interpolation="bilinear",
        crop_mode="squash")


def test_a_model_without_one_gets_imagenets_and_a_note():
    found = preprocessing_of(Net())
    assert (found.size, found.mean, found.assumed) == ((3, 224, 224), (0.485, 0.456, 0.406), True)
    assert "pretrained_cfg" in found.source_note
    assert "224" in found.source_note


def test_grey_models_get_one_channel():
    found = preprocessing_of(Net(1))
    assert found.size[0] == 1
    assert found.colours == "L"


def test_contradicting_configuration_is_refused(refusal):
    wrong = {"input_size": (1, 8, 8), "mean": (0.1, 0.1, 0.1), "std": (0.2, 0.2, 0.2)}
    assert "3 means" in refusal(preprocessing_of, Net(1, wrong))


@pytest.mark.parametrize("size", [(8, 8), (20, 30)])
def test_transform_scales_and_normalises(small, size):
    made = small.transform()(Image.new("RGB", size, (255, 0, 51)))
    assert made.shape == (3, 8, 8)
    assert made.mean((1, 2)).tolist() == pytest.approx([2.0, -2.0, (0.2 - 0.5) / 0.25], abs=1e-5)


def test_normalise_agrees_with_the_transform(small):
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    image = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    torch.testing.assert_close(small.normalise(pixels)[0], small.transform()(image))
