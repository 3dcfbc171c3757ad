"""What decides whether a measurement can be used again."""

import sys
from dataclasses import replace

import pytest

from mpsearch.core.errors import BadInput
from mpsearch.steps.request import Request
from mpsearch.steps.session import open_session
from mpsearch.workspace import Workspace


@pytest.fixture
def request_(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def model(): pass\ndef data(): pass\n")
    (tmp_path / "w.pth").write_bytes(b"1")
    (tmp_path / "s.toml").write_text("[[rule]]\nweight = { bits = [4, 8] }\n")
    monkeypatch.chdir(tmp_path)
    return Request(model="mine.py:model", data="mine.py:data", weights="w.pth", space="s.toml")


def test_keys_are_the_same_for_the_same_request(request_):
    assert request_.study_key() == replace(request_).study_key()
    assert request_.evaluation_key("study") == replace(request_).evaluation_key("study")


@pytest.mark.parametrize("change", [
    {"seed": 1}, {"calibration_samples": 64}, {"batch_size": 16}, {"space": "weights_only"},
    {"weights": None}, {"data": None}, {"model": "mine.py:other"}])
def test_another_request_has_another_key(request_, change):
    assert replace(request_, **change).study_key() != request_.study_key()


@pytest.mark.parametrize(("name", "content"), [
    ("mine.py", "def model(): return 1\ndef data(): pass\n"), ("w.pth", "2"),
    ("s.toml", "[[rule]]\nweight = { bits = [4, 6] }\n")])
def test_a_changed_file_has_another_key(request_, tmp_path, name, content):
    before = request_.study_key()
    (tmp_path / name).write_text(content)
    assert request_.study_key() != before


def test_a_comment_in_a_space_changes_nothing(request_, tmp_path):
    before = request_.study_key()
    path = tmp_path / "s.toml"
    path.write_text("# a comment\n" + path.read_text())
    assert request_.study_key() == before


def test_held_out_samples_do_not_change_what_is_measured_before(request_):
    more = replace(request_, evaluation_samples=1024)
    assert more.study_key() == request_.study_key()
    assert more.evaluation_key("study") != request_.evaluation_key("study")


def test_only_the_embedded_model_brings_its_data():
    assert Request().data_spec == "mpsearch.zoo.digits:data"
    assert Request(data="mine.npz").data_spec == "mine.npz"
    assert Request(model="resnet18").data_spec is None


def test_an_option_that_is_not_there_lists_those_that_are(tmp_path):
    with pytest.raises(BadInput, match=r"samples.*calibration_samples"):
        open_session("resnet18", Workspace(tmp_path), {"samples": 3})


def test_a_session_loads_nothing_until_it_is_asked(tmp_path):
    session = open_session("no_such_model", Workspace(tmp_path), {})
    assert session.key
    assert not list(tmp_path.iterdir())
    assert "no_such_model" not in sys.modules
