"""Versions are what the installed metadata says, however they are found."""

import importlib.metadata
import sys

import pytest

from mpsearch.core import version


@pytest.fixture(autouse=True)
def forgotten():
    version.version_of.cache_clear()
    yield
    version.version_of.cache_clear()


@pytest.mark.parametrize("name", ["torch", "timm", "numpy", "pytest"])
def test_both_ways_agree(name):
    assert version.version_of(name) == importlib.metadata.version(name)


def test_what_is_not_installed_is_unknown():
    assert version.version_of("no_such_distribution") == "unknown"


def test_the_first_place_counts(tmp_path, monkeypatch):
    info = tmp_path / "numpy-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1+own\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "archive.zip"), str(tmp_path), *sys.path])
    assert version.version_of("numpy") == "0.0.1+own"


@pytest.mark.parametrize("content", [None, "Metadata-Version: 2.1\nName: numpy\n"])
def test_unreadable_metadata_is_asked_about_elsewhere(tmp_path, monkeypatch, content):
    info = tmp_path / "odd_one-1.dist-info"
    info.mkdir()
    if content is not None:
        (info / "METADATA").write_text(content)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert version.version_of("odd_one") == "unknown"
