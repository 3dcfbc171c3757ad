"""Folders and tables of image files."""

import pytest
import torch
from PIL import Image

from mpsearch.sources.data import load_data
from mpsearch.sources.folder import list_folder
from mpsearch.sources.table import list_table


@pytest.fixture
def load(small):
    def call(spec, split="evaluation", samples=100, batch_size=4, seed=0):
        return load_data(str(spec), small, split=split, samples=samples, batch_size=batch_size,
                         seed=seed)

    return call


@pytest.fixture
def classes(tmp_path, paint):
    for number in range(10):
        name = "cat" if number < 4 else "dog"
        paint(tmp_path / "data" / name / f"{number}.png", (number, 0, 0))
    return tmp_path / "data"


def reds(batches):
    """The red of each image as it was painted, which numbers the images."""
    return [round(value) for batch in batches
            for value in ((batch.args[0][:, 0, 0, 0] * 0.25 + 0.5) * 255).tolist()]


def test_subfolders_are_classes_in_sorted_order(classes):
    found = list_folder(classes)
    assert found.labels == (0,) * 4 + (1,) * 6
    assert found.splits is None


def test_parts_are_disjoint_and_labels_stay_with_images(load, classes):
    parts = {split: load(classes, split) for split in ("calibration", "evaluation")}
    assert sorted(reds(parts["calibration"]) + reds(parts["evaluation"])) == list(range(10))
    for part in parts.values():
        labels = torch.cat([batch.labels for batch in part])
        assert labels.tolist() == [int(red >= 4) for red in reds(part)]
        assert labels.dtype == torch.int64


def test_same_seed_same_bytes_other_seed_other_order(load, classes):
    assert load(classes).digest == load(classes).digest
    assert load(classes).digest != load(classes, seed=1).digest


def test_samples_and_batch_size(load, classes):
    made = load(classes, samples=3, batch_size=2)
    assert [batch.size for batch in made] == [2, 1]
    assert reds(made) == reds(load(classes))[:3]
    assert made.note == ""
    assert "5 samples" in load(classes).note


def test_flat_folder_has_no_labels(load, tmp_path, paint):
    for number in range(4):
        paint(tmp_path / f"{number}.png")
    assert not load(tmp_path).labelled


def test_subfolders_named_after_splits_are_splits(load, tmp_path, paint):
    for number, place in enumerate(["train/a", "train/b", "val/a", "val/b"]):
        paint(tmp_path / place / "x.png", (number, 0, 0))
    made = load(tmp_path)
    assert sorted(reds(made)) == [2, 3]
    assert sorted(torch.cat([batch.labels for batch in made]).tolist()) == [0, 1]


def test_splits_with_other_classes_are_refused(load, tmp_path, paint, refusal):
    paint(tmp_path / "train" / "a" / "x.png")
    paint(tmp_path / "val" / "b" / "x.png")
    assert "different classes" in refusal(load, tmp_path)


def test_labels_csv_wins_over_subfolders(load, classes):
    (classes / "labels.csv").write_text("file,label,split\ncat/0.png,7,val\ndog/9.png,8,train\n")
    made = load(classes)
    assert (reds(made), made.batches[0].labels.tolist()) == ([0], [7])
    assert reds(load(classes, "calibration")) == [9]


def test_table_paths_are_relative_to_the_table(load, classes):
    table = classes.parent / "some.csv"
    table.write_text("\ufeffSplit,File\nval,data/cat/1.png\ntrain,data/cat/2.png\n", "utf-8")
    assert reds(load(table)) == [1]
    assert not load(table).labelled


def test_grey_images_for_colour_models(load, tmp_path):
    for number in range(2):
        Image.new("L", (8, 8), 51).save(tmp_path / f"{number}.png")
    assert load(tmp_path).batches[0].args[0].shape == (1, 3, 8, 8)


def test_assumed_preprocessing_is_told(classes):
    from mpsearch.sources.preprocess import Preprocessing

    assumed = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, size=(3, 8, 8), source_note="assumed")
    made = load_data(str(classes), assumed, split="evaluation", samples=1, batch_size=1, seed=0)
    assert made.note == "assumed"


@pytest.mark.parametrize(("text", "said"), [
    ("label,split\n1,val\n", "no 'file' column"),
    ("", "no 'file' column"),
    ("file,label\n", "lists no files"),
    ("file\nnothing.png\n", "line 2 names 'nothing.png'"),
    ("file\n\n  \n", "line 3"),
    ("file,label\ncat/0.png,cat\n", "label 'cat'"),
    ("file,label\ncat/0.png,1.5\n", "label '1.5'"),
    ("file,label\ncat/0.png\n", "label ''"),
    ("file,label\ncat/0.png,-1\n", "label '-1'"),
    ("file,label\ncat/0.png,12345678901234567890\n", "label '12345678901234567890'"),
    ("file,split\ncat/0.png,other\n", "split 'other'"),
])
def test_tables_that_cannot_be_used(classes, refusal, text, said):
    table = classes / "table.csv"
    table.write_text(text)
    message = refusal(list_table, table)
    assert said in message
    assert "table.csv" in message


def test_table_of_bytes_is_refused(tmp_path, refusal):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refusal(list_table, tmp_path / "t.csv")


def test_split_without_samples(load, classes, refusal):
    (classes / "labels.csv").write_text("file,split\ncat/0.png,val\n")
    assert "no samples for calibration" in refusal(load, classes, "calibration")


def test_empty_folder(load, tmp_path, refusal):
    assert "no images" in refusal(load, tmp_path)
    (tmp_path / "a_class").mkdir()
    assert "no images" in refusal(load, tmp_path)


@pytest.mark.parametrize("content", [b"no image", b"\x89PNG\r\n\x1a\n broken"])
def test_unreadable_image_is_named(load, tmp_path, refusal, content):
    for number in range(2):
        (tmp_path / f"bad{number}.png").write_bytes(content)
    message = refusal(load, tmp_path)
    assert "bad" in message
    assert "not a readable image" in message


def test_truncated_image_is_named(load, tmp_path, paint, refusal):
    path = paint(tmp_path / "cut.jpg", size=(64, 64))
    path.write_bytes(path.read_bytes()[:-200])
    assert "cut.jpg" in refusal(load, tmp_path)


@pytest.mark.parametrize(("name", "said"), [("nowhere", "no such data"), ("x.txt", "cannot tell")])
def test_other_paths(load, tmp_path, refusal, name, said):
    (tmp_path / "x.txt").write_text("")
    message = refusal(load, tmp_path / name)
    assert said in message
    assert "folder of images" in message


def test_nothing_asked_for(load, classes, refusal):
    assert "one or more" in refusal(load, classes, samples=0)
    assert "one or more" in refusal(load, classes, batch_size=0)
