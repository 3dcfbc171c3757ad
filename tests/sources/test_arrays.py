import numpy as np
import pytest
import torch

from mpsearch.sources.data import load_data
from mpsearch.sources.preprocess import Preprocessing


@pytest.fixture
def load(small, tmp_path):
    def call(part="evaluation", samples=100, seed=0, preprocessing=small, **arrays):
        path = tmp_path / "some.npz"
        np.savez(path, **arrays)
        return load_data(str(path), preprocessing, split=part, samples=samples, batch_size=4,
                         seed=seed)

    return call


def images(count=6, side=8, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def test_byte_images_are_normalised(load):
    x, split = images(2), np.array(["train", "val"])
    made = load(x=x, split=split).batches[0].args[0]
    expected = (torch.tensor(x[1]).permute(2, 0, 1) / 255 - 0.5) / 0.25
    torch.testing.assert_close(made[0], expected)


def test_byte_images_are_resized_where_the_model_says_its_size(load, small):
    assert load(x=images(side=16)).batches[0].args[0].shape[1:] == (3, 8, 8)
    assumed = Preprocessing(mean=small.mean, std=small.std, size=small.size, source_note="assumed")
    made = load(x=images(side=16), preprocessing=assumed)
    assert made.batches[0].args[0].shape[1:] == (3, 16, 16)
    assert "assumed" in made.note


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_images(load, channels):
    wanted = Preprocessing(mean=(0.5,) * channels, std=(0.5,) * channels, size=(channels, 8, 8))
    for x in (images(channels=1), images(channels=1)[..., 0], images(side=16, channels=1)):
        assert load(x=x, preprocessing=wanted).batches[0].args[0].shape[1:] == (channels, 8, 8)


def test_floats_and_integers_pass_as_they_are(load):
    x = np.arange(24.0).reshape(4, 3, 2)
    made = load(images=x)
    assert made.batches[0].args[0].dtype == torch.float32
    rows = {tuple(row.flatten().tolist()) for row in made.batches[0].args[0]}
    assert rows <= {tuple(row.ravel().tolist()) for row in x}
    assert load(x=np.arange(4, dtype=np.int32)).batches[0].args[0].dtype == torch.int64


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("name", ["y", "labels"])
def test_labels_stay_with_samples(load, name, shape):
    x, y = np.arange(6.0)[:, None], np.arange(6, dtype=np.uint8).reshape(shape)
    parts = [load(split, x=x, **{name: y}) for split in ("calibration", "evaluation")]
    seen = torch.cat([part.batches[0].labels for part in parts])
    assert seen.tolist() == torch.cat([part.batches[0].args[0][:, 0] for part in parts]).tolist()
    assert sorted(seen.tolist()) == list(range(6))


def test_repeats_exactly(load):
    x = np.arange(60.0)[:, None]
    assert load(x=x, samples=9).digest == load(x=x, samples=9).digest
    assert load(x=x, samples=9).digest != load(x=x, samples=9, seed=1).digest


@pytest.mark.parametrize(("arrays", "said"), [
    ({"z": np.zeros(3)}, "array named x"),
    ({"x": np.zeros((0, 3))}, "no samples"),
    ({"x": np.zeros((4, 3)), "y": np.zeros(3, int)}, "4 samples in x and 3 labels"),
    ({"x": np.zeros((4, 3)), "y": np.zeros((4, 2), int)}, "one label for each"),
    ({"x": np.zeros((4, 3)), "y": np.zeros(4)}, "integers"),
    ({"x": np.zeros((4, 3)), "split": np.array(["val"] * 3)}, "split is not 4 words"),
    ({"x": np.zeros((4, 3)), "split": np.array(["val"] * 3 + ["no"])}, "split 'no'"),
    ({"x": np.array(["a", "b"])}, "inputs of type"),
    ({"x": np.full((4, 3), np.nan)}, "NaN or infinite"),
    ({"x": np.full((4, 3), np.inf)}, "NaN or infinite"),
    ({"x": images(channels=4)}, "8x8x4"),
    ({"x": np.zeros((4, 5), np.uint8)}, "height, width"),
    ({"x": np.array([{}, {}], dtype=object)}, "arrays of numbers"),
])
def test_arrays_that_cannot_be_used(load, refusal, arrays, said):
    message = refusal(load, **arrays)
    assert said in message
    assert "some.npz" in message


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_damaged_file(small, tmp_path, refusal, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    message = refusal(load_data, str(path), small, split="evaluation", samples=1, batch_size=1,
                      seed=0)
    assert "bad.npz" in message


def test_a_single_array_under_the_wrong_name(small, tmp_path, refusal):
    with (tmp_path / "bad.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "numpy.savez" in refusal(load_data, str(tmp_path / "bad.npz"), small, samples=1,
                                    split="evaluation", batch_size=1, seed=0)
