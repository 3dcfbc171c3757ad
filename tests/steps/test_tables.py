"""Scores of single samples lie beside their table, and are read only when they are asked for."""

import json
from dataclasses import replace

import pytest

from mpsearch import api
from mpsearch.core import io
from mpsearch.core.types import ScoreTable
from mpsearch.steps.tables import load_table, save_table
from mpsearch.workspace import Workspace

FEW = {"calibration_samples": 16, "evaluation_samples": 32, "batch_size": 16, "verify": False}
TABLE = ScoreTable(metric="kl_probe", unit="nats", groups=("a", "b"), values=((2.0, 1.0), (3.0,)))
SAMPLED = replace(TABLE, samples=((1.0, 1 / 3, 2.0), (3.0, 5 / 3, 4.0)))


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def test_samples_come_back_bit_by_bit_where_they_are_asked_for(workspace):
    save_table(workspace, "key", SAMPLED)
    assert load_table(workspace, "key", samples=True) == replace(SAMPLED, sampled=True)
    assert load_table(workspace, "key") == replace(TABLE, sampled=True)


def test_the_table_itself_holds_no_samples(workspace, tmp_path):
    save_table(workspace, "key", SAMPLED)
    assert json.loads((tmp_path / "tables" / "key.json").read_text())["samples"] == []


def test_without_samples_there_is_one_file(workspace, tmp_path):
    save_table(workspace, "key", TABLE)
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]
    assert load_table(workspace, "key", samples=True) == TABLE


def test_the_additive_path_reads_no_samples(workspace, monkeypatch):
    save_table(workspace, "key", SAMPLED)
    monkeypatch.setattr(Workspace, "load_array", lambda *_, **__: pytest.fail("samples were read"))
    assert load_table(workspace, "key") == replace(TABLE, sampled=True)


def test_a_table_of_an_earlier_version_has_its_samples_in_itself(workspace, tmp_path):
    data = io.to_data(SAMPLED)
    del data["sampled"]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "key.json").write_text(json.dumps(data))
    assert load_table(workspace, "key", samples=True) == SAMPLED
    assert load_table(workspace, "key").samples == ()


@pytest.mark.parametrize("damage", [
    lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:100]),
    lambda path: path.write_bytes(b""), lambda path: path.write_bytes(path.read_bytes()[:-8])])
def test_samples_that_are_lost_are_missing_only_to_those_who_ask(workspace, tmp_path, damage):
    save_table(workspace, "key", SAMPLED)
    damage(tmp_path / "samples" / "key.npy")
    assert load_table(workspace, "key") == replace(TABLE, sampled=True)
    assert load_table(workspace, "key", samples=True) is None


def test_samples_of_another_space_are_not_taken(workspace):
    save_table(workspace, "key", SAMPLED)
    workspace.save_array("samples", "key", [[1.0, 2.0]])
    assert load_table(workspace, "key", samples=True) is None


def test_lost_samples_are_measured_again_and_give_the_same_answer(tmp_path):
    def robust():
        return api.allocate("4bpw", workspace=str(tmp_path), objective="robust", **FEW)

    first = robust()
    again = robust()
    (path,) = (tmp_path / "samples").iterdir()
    path.unlink()
    plain = api.allocate("4bpw", workspace=str(tmp_path), **FEW)
    measured = robust()
    assert first.policy == again.policy == measured.policy
    units = [each.allocation.measured.new_units for each in (first, again, plain, measured)]
    assert units[1] == units[2] == 0
    assert units[0] == units[3] > 0
