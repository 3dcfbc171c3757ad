"""Data that cannot be read, or does not fit the model."""

import numpy as np
import pytest
from PIL import Image

ALLOCATE = ("allocate", "--budget", "5bpw", "--model", "mine.py:model")


@pytest.fixture
def picture():
    """Write an image."""

    def write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(path)

    return write


def test_data_that_is_not_there(refused, user):
    line = refused(*ALLOCATE, "--data", "gone", cwd=user)
    assert "no such data: gone" in line


def test_an_empty_folder(refused, user):
    (user / "images").mkdir()
    line = refused(*ALLOCATE, "--data", "images", cwd=user)
    assert "images has no images" in line
    assert "--data" in line


def test_an_image_that_cannot_be_read_is_named(refused, user, picture):
    for number in range(3):
        picture(user / "images" / f"{number}.png")
    (user / "images" / "broken.png").write_bytes(b"no image")
    assert "broken.png" in refused(*ALLOCATE, "--data", "images", cwd=user)


def test_a_table_that_names_a_missing_image_names_its_line(refused, user, picture):
    picture(user / "images" / "0.png")
    (user / "images" / "labels.csv").write_text("file,label\n0.png,0\n1.png,1\n")
    line = refused(*ALLOCATE, "--data", "images/labels.csv", cwd=user)
    assert "line 3" in line
    assert "1.png" in line


def test_labels_beyond_the_classes_of_the_model(refused, user):
    np.savez(user / "far.npz", x=np.zeros((8, 3, 8, 8), np.float32), y=np.full(8, 4))
    line = refused(*ALLOCATE, "--data", "far.npz", cwd=user)
    assert "label 4" in line
    assert "4 classes (0 to 3)" in line


@pytest.mark.parametrize("shape", [(8, 1, 8, 8), (8, 3, 32, 32), (8, 3)])
def test_inputs_of_another_shape(refused, user, shape):
    np.savez(user / "odd.npz", x=np.zeros(shape, np.float32), y=np.zeros(8, np.int64))
    line = refused(*ALLOCATE, "--data", "odd.npz", cwd=user)
    assert "does not run on the data" in line
    assert str(shape[1:])[1:-1].strip(",") in line


def test_byte_images_of_other_channels(refused, user):
    np.savez(user / "odd.npz", x=np.zeros((8, 8, 8, 2), np.uint8), y=np.zeros(8, np.int64))
    assert "8x8x2" in refused(*ALLOCATE, "--data", "odd.npz", cwd=user)


def test_inputs_that_are_not_finite(refused, user):
    np.savez(user / "odd.npz", x=np.full((8, 3, 8, 8), np.nan, np.float32))
    assert "NaN or infinite" in refused(*ALLOCATE, "--data", "odd.npz", cwd=user)


def test_a_model_without_data_is_told_what_needs_them(refused, user):
    line = refused(*ALLOCATE, cwd=user)
    assert "kl_probe needs data" in line
    assert "--data" in line


def test_verification_without_data_is_told_what_needs_them(refused, user):
    line = refused(*ALLOCATE, "--estimator", "weight_error", cwd=user)
    assert "--data" in line
    assert "--no-verify" in line


@pytest.mark.parametrize(("option", "value"), [
    ("--calibration-samples", "0"), ("--evaluation-samples", "-1"), ("--batch-size", "0")])
def test_counts_below_one(refused, user, option, value):
    line = refused(*ALLOCATE, "--data", "mine.py:data", option, value, cwd=user)
    assert option.strip("-").replace("-", " ") in line
    assert value in line


def test_fewer_than_two_points_make_no_front(refused, tmp_path):
    assert "at least 2 points" in refused("pareto", "--points", "1", cwd=tmp_path)
