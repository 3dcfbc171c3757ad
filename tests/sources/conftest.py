"""Fixtures of the tests of sources: refusals, images, modules of the user's own."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from mpsearch.core.errors import BadInput
from mpsearch.sources.preprocess import Preprocessing


@pytest.fixture
def refusal():
    """Call something that must raise BadInput of one line, and give back that line."""

    def call(function, *args, **kwargs):
        with pytest.raises(BadInput) as caught:
            function(*args, **kwargs)
        message = str(caught.value)
        assert "\n" not in message
        assert ": " in message, "what was wrong, then what to do"
        return message

    return call


@pytest.fixture
def small():
    """Preprocessing of a model that itself asks for 8x8 colour images."""
    return Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=(3, 8, 8), crop=1.0)


@pytest.fixture
def paint():
    """Write an image of one colour."""

    def write(path, colour=(10, 20, 30), size=(8, 8)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), colour, dtype=np.uint8)).save(path)
        return path

    return write


@pytest.fixture
def user_file(tmp_path):
    """Write a Python file of the user's, and give the function's name in it."""

    def write(text, function="make", name="user_code.py"):
        path = tmp_path / name
        path.write_text("import torch\nfrom torch import nn\n" + text)
        return f"{path}:{function}"

    return write


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, whose ``__init__`` says that it was imported by leaving a file."""
    name = f"someones_{abs(hash(str(tmp_path)))}"
    folder = tmp_path / "site" / name
    (folder / "inner").mkdir(parents=True)
    trace = tmp_path / "imported"
    (folder / "__init__.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "nets.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Linear(2, 3)\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for module in [each for each in sys.modules if each.split(".")[0] == name]:
        del sys.modules[module]
