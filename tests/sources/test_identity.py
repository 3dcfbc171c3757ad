import os
import subprocess
import sys

import numpy as np
import pytest

from mpsearch.sources import identity
from mpsearch.sources.identity import identify_data, identify_model


def test_no_heavy_import(package):
    code = f"""
import sys
from mpsearch.sources.identity import identify_data, identify_model
identify_model("mpsearch.zoo.digits:model")
identify_data("mpsearch.zoo.digits:data")
identify_model("vit_tiny_patch16_224")
identify_model("torchvision.models.resnet:resnet18")
identify_model("{package.name}.inner.nets:make")
heavy = {{"torch", "timm", "numpy", "torchvision", "{package.name}"}} & set(sys.modules)
sys.exit(" ".join(heavy) or 0)
"""
    path = os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path}, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_package_function_follows_its_folder_without_being_imported(package):
    spec, inner = f"{package.name}.inner.nets:make", package / "inner"
    digests = [identify_model(spec)]
    (inner / "w.safetensors").write_bytes(b"one")
    digests.append(identify_model(spec))
    (inner / "w.safetensors").write_bytes(b"two")
    digests.append(identify_model(spec))
    (inner / "nets.py").write_text("def make(): ...\n")
    digests += [identify_model(spec), identify_model(f"{package.name}.inner.nets:other"),
                identify_model(f"{package.name}.inner:make")]
    assert len(set(digests)) == 6
    (inner / "notes.txt").write_text("nothing that counts")
    assert identify_model(spec) == digests[3]
    assert not (package.parents[1] / "imported").exists()


def test_file_function_follows_its_file(user_file):
    first = identify_data(user_file("def make(): ...\n"))
    assert identify_data(user_file("def make(): ...\n")) == first
    assert identify_data(user_file("def make(): pass\n")) != first


def test_timm_name_and_weights(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"one")
    digests = [identify_model("a"), identify_model("b"), identify_model("a", str(weights))]
    weights.write_bytes(b"two")
    digests.append(identify_model("a", str(weights)))
    assert len(set(digests)) == 4
    assert identify_model("a") == digests[0]


def test_large_files_count_by_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "_READ_LIMIT", 2)
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"one")
    os.utime(weights, ns=(1, 1))
    first = identify_model("a", str(weights))
    weights.write_bytes(b"two")
    os.utime(weights, ns=(1, 1))
    assert identify_model("a", str(weights)) == first
    os.utime(weights, ns=(2, 2))
    assert identify_model("a", str(weights)) != first


def test_folder_follows_its_files(tmp_path, paint):
    image = paint(tmp_path / "data" / "a" / "x.png")
    spec = str(tmp_path / "data")
    digests = [identify_data(spec)]
    paint(tmp_path / "data" / "a" / "y.png")
    digests.append(identify_data(spec))
    os.utime(image, ns=(1, 1))
    digests.append(identify_data(spec))
    table = tmp_path / "data" / "labels.csv"
    for label in "12":
        table.write_text(f"file,label\na/x.png,{label}\n")
        os.utime(table, ns=(1, 1))
        digests.append(identify_data(spec))
    assert len(set(digests)) == 5
    assert identify_data(spec) == digests[-1]


def test_table_follows_its_text_and_its_files(tmp_path, paint):
    image = paint(tmp_path / "x.png")
    table = tmp_path / "t.csv"
    digests = []
    for text in ("file\nx.png\n", "file,label\nx.png,1\n"):
        table.write_text(text)
        digests.append(identify_data(str(table)))
    os.utime(image, ns=(1, 1))
    assert len({*digests, identify_data(str(table))}) == 3


def test_arrays_follow_their_content(tmp_path):
    path = tmp_path / "a.npz"
    digests = set()
    for value in range(2):
        np.savez(path, x=np.full(3, value))
        digests.add(identify_data(str(path)))
    assert len(digests) == 2


@pytest.mark.parametrize(("call", "spec", "said"), [
    (identify_data, "/no/such/folder", "no such data"),
    (identify_data, "/no/such.py:make", "no such file"),
    (identify_model, "/no/such.py:make", "no such file"),
    (identify_model, "no_such_package_at_all:make", "no module named 'no_such_package_at_all'"),
    (identify_model, "mpsearch.zoo.no_such:make", "no module named 'mpsearch.zoo.no_such'"),
    (identify_model, "net.py", "names no function"),
])
def test_what_is_not_there(refusal, call, spec, said):
    assert said in refusal(call, spec)


def test_missing_weights_and_broken_table(tmp_path, refusal):
    assert "no such weights" in refusal(identify_model, "a", str(tmp_path / "none.pth"))
    (tmp_path / "t.csv").write_text("name\nx\n")
    assert "'file' column" in refusal(identify_data, str(tmp_path / "t.csv"))
