"""Real weights and real images, where they are at hand."""

import pytest
import torch

from mpsearch.sources.batch import check_labels
from mpsearch.sources.data import load_data
from mpsearch.sources.model import load_model


@pytest.fixture(scope="module")
def vit(test_data):
    return load_model("vit_tiny_patch16_224", str(test_data / "vit_tiny_patch16_224.safetensors"))


def test_a_trained_model_recognises_what_it_is_shown(vit, test_data):
    made = load_data(str(test_data / "imagenet_sample"), vit.preprocessing, split="evaluation",
                     samples=32, batch_size=16, seed=0)
    check_labels(made, 1000)
    with torch.no_grad():
        right = sum(int((vit.module(*batch.args).argmax(1) == batch.labels).sum())
                    for batch in made)
    assert right >= 0.65 * made.samples


def test_splits_of_the_table_are_kept(vit, test_data):
    made = [load_data(str(test_data / "imagenet_sample" / "labels.csv"), vit.preprocessing,
                      split=split, samples=8, batch_size=8, seed=0)
            for split in ("calibration", "evaluation")]
    labels = [set(batches.batches[0].labels.tolist()) for batches in made]
    assert not labels[0] & labels[1]


def test_byte_arrays(vit, test_data):
    made = load_data(str(test_data / "cifar10_test_3000.npz"), vit.preprocessing,
                     split="calibration", samples=4, batch_size=2, seed=0)
    assert [tuple(batch.args[0].shape) for batch in made] == [(2, 3, 224, 224)] * 2
    assert made.labelled
